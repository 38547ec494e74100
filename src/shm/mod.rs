//! Memory that ranks share: its layout, the rings, blocks, doorbells and boards in it.
