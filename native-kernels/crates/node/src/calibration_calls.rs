//! Statistics of a linear map's inputs: kept in native memory, fed synchronously in a worker thread.

use std::sync::{Arc, Mutex, MutexGuard};

use lathe_kernels::input_statistics::InputStatistics;
use lathe_kernels::{Context, KernelError, Status};
use napi::bindgen_prelude::*;
use napi_derive::napi;

use crate::call::{CallControl, Work, guarded};
use crate::js_ranges::{JsByteRange, range};

/// `core/kernels` ColumnStatistics.
#[napi(object, object_from_js = false)]
pub struct JsColumnStatistics {
    pub rows: i64,
    pub sums: Float64Array,
    pub squares: Float64Array,
    pub greatest: Float32Array,
}

/// `core/kernels` InputStatistics.
#[napi]
pub struct NativeInputStatistics(Arc<Mutex<Option<InputStatistics>>>);

#[napi]
impl NativeInputStatistics {
    #[napi(constructor)]
    pub fn new(columns: u32, with_gram: bool) -> Result<Self> {
        guarded(|| {
            InputStatistics::new(columns as usize, with_gram).map(|state| Self(Arc::new(Mutex::new(Some(state)))))
        })
    }

    #[napi]
    pub fn feed(&self, rows: Float32Array, threads: u32) -> Result<()> {
        guarded(|| opened(&mut *locked(&self.0)?)?.feed(&Context::with_threads(threads as usize)?, &rows))
    }

    #[napi]
    pub fn columns(&self) -> Result<JsColumnStatistics> {
        let found = guarded(|| Ok(opened(&mut *locked(&self.0)?)?.columns_so_far()))?;
        Ok(JsColumnStatistics {
            rows: found.rows as i64,
            sums: Float64Array::new(found.sums),
            squares: Float64Array::new(found.squares),
            greatest: Float32Array::new(found.greatest),
        })
    }

    #[napi]
    pub fn write_gram(&self, to: JsByteRange, threads: u32, control: &CallControl) -> Result<AsyncTask<Work<()>>> {
        let (state, context) = (Arc::clone(&self.0), control.context(threads)?);
        Ok(Work::task(move || opened(&mut *locked(&state)?)?.write_gram(&context, &range(&to)?)))
    }

    /// Frees the memory now: the object itself goes when JavaScript collects it, which may be much later.
    #[napi]
    pub fn close(&self) -> Result<()> {
        guarded(|| {
            *locked(&self.0)? = None;
            Ok(())
        })
    }
}

fn locked(state: &Mutex<Option<InputStatistics>>) -> lathe_kernels::Result<MutexGuard<'_, Option<InputStatistics>>> {
    state.lock().map_err(|_| KernelError::new(Status::Panic, "statistics were broken by an earlier panic"))
}

fn opened(state: &mut Option<InputStatistics>) -> lathe_kernels::Result<&mut InputStatistics> {
    state.as_mut().ok_or_else(|| KernelError::bad_argument("statistics were used after they were closed"))
}
