//! Where what takes long to make or fetch is kept: the user's cache, so that every clone finds it.

use std::env;
use std::path::PathBuf;

/// Gives detector's directory in the user's cache; none where the user has no home.
#[must_use]
pub fn directory() -> Option<PathBuf> {
    let cache = env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .filter(|path| path.is_absolute())
        .or_else(|| env::home_dir().map(|home| home.join(".cache")))?;
    Some(cache.join("detector"))
}
