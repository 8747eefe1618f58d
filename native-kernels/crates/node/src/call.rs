//! One long call: its control, its thread count, and how its failure reaches JavaScript.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use lathe_kernels::{Context, Control, KernelError, Status};
use napi::bindgen_prelude::*;
use napi_derive::napi;

/// JavaScript's end of a running call.
#[napi]
#[derive(Default)]
pub struct CallControl {
    control: Arc<Control>,
}

#[napi]
impl CallControl {
    #[napi(constructor)]
    pub fn new() -> Self {
        Self::default()
    }

    #[napi]
    pub fn cancel(&self) {
        self.control.cancel();
    }

    #[napi(getter)]
    pub fn done_bytes(&self) -> i64 {
        self.control.done_bytes() as i64
    }
}

impl CallControl {
    /// The kernels' context of a call with this control.
    pub fn context(&self, threads: u32) -> Result<Context> {
        let mut context = Context::with_threads(threads as usize).map_err(|error| to_napi(&error))?;
        context.control = Arc::clone(&self.control);
        Ok(context)
    }
}

#[napi]
pub fn memory_bytes(threads: u32) -> i64 {
    lathe_kernels::context::memory_bytes(threads as usize) as i64
}

/// Work for Node's pool: runs once, off the JavaScript thread.
pub struct Work<T>(Option<Box<dyn FnOnce() -> lathe_kernels::Result<T> + Send>>);

impl<T: Send + ToNapiValue + TypeName + 'static> Work<T> {
    /// Wraps a call for `AsyncTask`.
    pub fn task(run: impl FnOnce() -> lathe_kernels::Result<T> + Send + 'static) -> AsyncTask<Self> {
        AsyncTask::new(Self(Some(Box::new(run))))
    }
}

impl<T: Send + ToNapiValue + TypeName + 'static> Task for Work<T> {
    type Output = T;
    type JsValue = T;

    fn compute(&mut self) -> Result<T> {
        let run = self.0.take().ok_or_else(|| Error::from_reason("a kernel call was started twice"))?;
        guarded(run)
    }

    fn resolve(&mut self, _env: Env, output: T) -> Result<T> {
        Ok(output)
    }
}

/// Runs a call so that neither an error nor a panic can leave it as anything but a JavaScript error.
pub fn guarded<T>(run: impl FnOnce() -> lathe_kernels::Result<T>) -> Result<T> {
    match catch_unwind(AssertUnwindSafe(run)) {
        Ok(result) => result.map_err(|error| to_napi(&error)),
        Err(panic) => {
            let text = panic
                .downcast_ref::<&str>()
                .map(|text| (*text).to_owned())
                .or_else(|| panic.downcast_ref::<String>().cloned())
                .unwrap_or_else(|| "no message".to_owned());
            Err(to_napi(&KernelError::new(Status::Panic, format!("a kernel panicked: {text}"))))
        }
    }
}

/// The error as JSON in the message: Node-API carries no fields of its own.
pub fn to_napi(error: &KernelError) -> Error {
    let path = error.path.as_ref().map_or("null".to_owned(), |path| json_string(&path.to_string_lossy()));
    let offset = error.byte_offset.map_or("null".to_owned(), |offset| offset.to_string());
    Error::from_reason(format!(
        "{{\"status\":{},\"what\":{},\"path\":{path},\"byteOffset\":{offset}}}",
        error.status as u32,
        json_string(&error.what)
    ))
}

fn json_string(text: &str) -> String {
    use std::fmt::Write;
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            c if (c as u32) < 0x20 => {
                let _ = write!(out, "\\u{:04x}", c as u32);
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// A kernel that panics, so that tests can see what becomes of it.
#[napi]
pub fn panic_for_tests(text: String) -> AsyncTask<Work<bool>> {
    Work::task(move || panic!("{text}"))
}
