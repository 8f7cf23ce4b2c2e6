//! A map of one record, which the loader makes of a section: the verifier knows where it is, so that a packet need not look it up.

use core::{arch::asm, cell::UnsafeCell, mem::MaybeUninit};

/// A record that the agent writes and the program reads, in a section named `.bss.` and something: it begins as zeroes.
#[repr(transparent)]
pub struct Record<T>(UnsafeCell<MaybeUninit<T>>);

// SAFETY: the program only reads it.
unsafe impl<T> Sync for Record<T> {}

impl<T: bytemuck::Pod> Record<T> {
    /// The record as it begins.
    pub const fn zeroed() -> Self {
        Self(UnsafeCell::new(MaybeUninit::zeroed()))
    }

    /// The record. What is read twice may have been written in between.
    #[inline(always)]
    pub fn get(&'static self) -> &'static T {
        let mut place = self.0.get().cast::<T>();
        // The compiler sees nobody who writes it, and would take it for zeroes for ever.
        #[expect(
            clippy::pointers_in_nomem_asm_block,
            reason = "the text is a comment: nothing is read or written through the pointer"
        )]
        // SAFETY: does nothing.
        unsafe {
            asm!("/* {place} */", place = inout(reg) place, options(pure, nomem, nostack))
        };
        // SAFETY: it lives as long as the program, and every bit pattern is a `T`.
        unsafe { &*place }
    }
}
