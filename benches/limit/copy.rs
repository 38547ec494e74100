//! The ways to copy a piece of memory that are worth comparing.
//!
//! Not here, because they came out within a few per cent of the others or behind: `rep movsb` (it is what glibc's
//! `memcpy` does at these lengths), plain 64-byte stores, and copies that push their lines out of the writer's cache.

/// How bytes are moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    /// The C library's `memcpy`.
    Memcpy,
    /// Plain vector stores.
    Vector,
    /// Non-temporal vector stores, then a store fence.
    NonTemporal,
}

impl Kind {
    /// The kinds that this CPU has: vector stores are tried only on x86-64 with AVX2.
    pub(super) fn available() -> &'static [Kind] {
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx2") {
            return &[Kind::Memcpy, Kind::Vector, Kind::NonTemporal];
        }
        &[Kind::Memcpy]
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Kind::Memcpy => "memcpy",
            Kind::Vector => "vector",
            Kind::NonTemporal => "nt",
        }
    }

    /// Copies `bytes` from `from` to `to`.
    ///
    /// # Safety
    ///
    /// Both ranges are valid and do not overlap, nobody else writes either or reads `to` meanwhile, and `self` came
    /// from [`Kind::available`]. For `NonTemporal`, `to` is aligned to 64 bytes.
    pub(super) unsafe fn copy(self, from: *const u8, to: *mut u8, bytes: usize) {
        match self {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: the caller vouches for the ranges and for AVX2.
            Kind::Vector => unsafe { x86::vector(from, to, bytes) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: the caller vouches for the ranges, the alignment and AVX2.
            Kind::NonTemporal => unsafe { x86::non_temporal(from, to, bytes) },
            // SAFETY: the caller vouches for the ranges.
            _ => unsafe { from.copy_to_nonoverlapping(to, bytes) },
        }
    }
}

/// Keeps the CPU from polling ahead: it would throw all that away when the line changes.
#[inline(always)]
pub(super) fn wait_for_load() {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: every x86-64 has SSE2.
    unsafe {
        std::arch::x86_64::_mm_lfence();
    }
}

/// Pushes the cache line at `line` towards the cache that both cores share, where the CPU can: a line that the receiver
/// will read anyway starts on its way earlier. On a Xeon of 2023 it took a third off the time per message of a stream.
#[inline(always)]
pub(super) fn demote<T>(line: &T) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a hint, encoded as a no-operation for CPUs without it; no memory or register changes.
    unsafe {
        std::arch::asm!("cldemote [{}]", in(reg) &raw const *line, options(nostack, preserves_flags))
    };
    #[cfg(not(target_arch = "x86_64"))]
    let _ = line;
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::asm;

    /// Defines a copy whose loop moves four vectors a turn; `memcpy` moves the rest. Written in assembly because the
    /// compiler may turn a loop of plain loads and stores back into `memcpy`.
    macro_rules! copy_loop {
        ($name:ident, $width:literal, $register:literal, $load:literal, $store:literal, $last:literal) => {
            pub(super) unsafe fn $name(from: *const u8, to: *mut u8, bytes: usize) {
                let whole = bytes - bytes % (4 * $width);
                if whole > 0 {
                    // SAFETY: reads `whole` bytes at `from` and writes them at `to`, both of which the caller
                    // vouches for; the registers are declared, `vzeroupper` clears only halves of them.
                    unsafe {
                        asm!(
                            "2:",
                            concat!($load, " ", $register, "0, [{from} + {at}]"),
                            concat!($load, " ", $register, "1, [{from} + {at} + {width}]"),
                            concat!($load, " ", $register, "2, [{from} + {at} + 2*{width}]"),
                            concat!($load, " ", $register, "3, [{from} + {at} + 3*{width}]"),
                            concat!($store, " [{to} + {at}], ", $register, "0"),
                            concat!($store, " [{to} + {at} + {width}], ", $register, "1"),
                            concat!($store, " [{to} + {at} + 2*{width}], ", $register, "2"),
                            concat!($store, " [{to} + {at} + 3*{width}], ", $register, "3"),
                            "add {at}, 4*{width}",
                            "cmp {at}, {end}",
                            "jb 2b",
                            "vzeroupper",
                            $last,
                            at = inout(reg) 0_usize => _,
                            end = in(reg) whole,
                            from = in(reg) from,
                            to = in(reg) to,
                            width = const $width,
                            out("xmm0") _, out("xmm1") _, out("xmm2") _, out("xmm3") _,
                            out("xmm4") _, out("xmm5") _, out("xmm6") _, out("xmm7") _,
                            out("xmm8") _, out("xmm9") _, out("xmm10") _, out("xmm11") _,
                            out("xmm12") _, out("xmm13") _, out("xmm14") _, out("xmm15") _,
                            options(nostack),
                        )
                    }
                }
                let (from, to) = (from.wrapping_add(whole), to.wrapping_add(whole));
                // SAFETY: what is left of the same ranges.
                unsafe { from.copy_to_nonoverlapping(to, bytes - whole) }
            }
        };
    }

    copy_loop!(vector, 32, "ymm", "vmovdqu", "vmovdqu", "");
    // Non-temporal stores are not ordered by a later Release store: the fence is part of the copy.
    copy_loop!(non_temporal_avx2, 32, "ymm", "vmovdqu", "vmovntdq", "sfence");
    copy_loop!(non_temporal_avx512, 64, "zmm", "vmovdqu64", "vmovntdq", "sfence");

    /// Non-temporal stores, of whole cache lines where the CPU can.
    pub(super) unsafe fn non_temporal(from: *const u8, to: *mut u8, bytes: usize) {
        if is_x86_feature_detected!("avx512f") {
            // SAFETY: the caller vouches for the ranges and the alignment.
            unsafe { non_temporal_avx512(from, to, bytes) }
        } else {
            // SAFETY: as above.
            unsafe { non_temporal_avx2(from, to, bytes) }
        }
    }
}
