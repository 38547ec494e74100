//! Type maps: where the bytes of non-contiguous data lie.
