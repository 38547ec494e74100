//! User memory, reached only through the cursors here.
