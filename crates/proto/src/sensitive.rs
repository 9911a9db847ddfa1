//! Keeps values that must not be shown out of `Debug`, and wipes them when dropped.

use std::fmt;

use zeroize::Zeroize;

use crate::v1;

impl fmt::Debug for v1::Sensitive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sensitive({} bytes)", self.value.len())
    }
}

impl Drop for v1::Sensitive {
    fn drop(&mut self) {
        self.value.zeroize();
    }
}
