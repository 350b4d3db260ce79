//! The secret that keys the flow tables: drawn from the processor where it can, else from jitter.

use boot::cpu;

/// 64 bits that an outsider cannot guess. Without RDRAND they are as good as the jitter of the
/// machine's ports, which an outsider cannot watch but which nobody has measured: the log says so.
pub fn secret() -> u64 {
    match from_processor() {
        Some(secret) => secret,
        None => {
            log::warn!("no RDRAND (try -cpu max or host): the flow tables' key is from jitter");
            from_jitter()
        }
    }
}

fn from_processor() -> Option<u64> {
    const RDRAND: u32 = 1 << 30;
    const TRIES: u32 = 10; // Intel's advice for a generator that is busy
    if cpu::cpuid(1, 0).ecx & RDRAND == 0 {
        return None;
    }
    // SAFETY: CPUID announces the instruction.
    let draw = || (0..TRIES).find_map(|_| unsafe { cpu::rdrand() });
    // Processors are known that return ones after waking, again and again: two equal draws are no
    // randomness.
    let (first, second) = (draw()?, draw()?);
    (first != second).then_some(first ^ second.rotate_left(32))
}

/// Times many accesses to a port, which leave the VM and come back when the host likes.
fn from_jitter() -> u64 {
    const ROUNDS: u32 = 512;
    const POST_PORT: u16 = 0x80;
    (0..ROUNDS).fold(0, |mixed, _| {
        // SAFETY: port 0x80 takes the firmware's progress codes and means nothing.
        unsafe { cpu::out8(POST_PORT, 0) };
        mix(mixed ^ cpu::rdtsc())
    })
}

/// The finalizer of SplitMix64: every bit of the input changes half of the output's.
fn mix(value: u64) -> u64 {
    let value = (value ^ value >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ value >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ value >> 31
}
