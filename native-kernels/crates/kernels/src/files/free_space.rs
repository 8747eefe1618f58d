//! How much room a disk has.

use std::path::Path;

use crate::error::{KernelError, Result};

/// Bytes that this user may still write to the file system of an existing path; `None` where the system does not tell.
#[cfg(unix)]
pub fn free_disk_bytes(path: &Path) -> Result<Option<u64>> {
    use std::os::unix::ffi::OsStrExt;
    let name = std::ffi::CString::new(path.as_os_str().as_bytes())
        .map_err(|_| KernelError::bad_argument("a path with a zero byte in it"))?;
    let mut facts = std::mem::MaybeUninit::<libc::statvfs>::uninit();
    // SAFETY: both pointers are valid for the call; a status of 0 says that the facts were filled in.
    if unsafe { libc::statvfs(name.as_ptr(), facts.as_mut_ptr()) } != 0 {
        return Err(KernelError::io("look at the disk of", path, &std::io::Error::last_os_error()));
    }
    // SAFETY: as above.
    let facts = unsafe { facts.assume_init() };
    // Some file systems count nothing.
    if facts.f_blocks == 0 {
        return Ok(None);
    }
    #[allow(clippy::unnecessary_cast, reason = "narrower on other systems")]
    Ok(Some((facts.f_bavail as u64).saturating_mul(facts.f_frsize as u64)))
}

/// Not asked for here: always `None`.
#[cfg(not(unix))]
pub fn free_disk_bytes(_path: &Path) -> Result<Option<u64>> {
    Ok(None)
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use crate::error::Status;

    #[test]
    fn a_disk_with_room_says_so_and_a_missing_path_is_refused() {
        let folder = std::env::temp_dir();
        assert!(free_disk_bytes(&folder).unwrap().is_none_or(|bytes| bytes > 0));
        assert_eq!(free_disk_bytes(&folder.join("lathe-not-there")).unwrap_err().status, Status::NotFound);
        assert_eq!(free_disk_bytes(Path::new("a\0b")).unwrap_err().status, Status::BadArgument);
    }
}
