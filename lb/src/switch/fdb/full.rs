//! Who gives way in a bucket that is full.

use super::{FdbEntry, FdbKind, WAYS};
use crate::PortId;

/// A bucket, spelt out.
type Ways = [Option<FdbEntry>; WAYS];

/// The way of `bucket` that a newcomer behind `port` takes, if it may take one.
pub(super) fn place(
    bucket: &Ways,
    port: PortId,
    over_share: bool,
    is_aged: impl Fn(&FdbEntry) -> bool,
) -> Option<usize> {
    let free = |entry: &Option<FdbEntry>| entry.as_ref().is_none_or(&is_aged);
    match bucket.iter().position(free) {
        Some(way) if !over_share || bucket[way].is_some_and(|e| e.port == port) => Some(way),
        _ if over_share => oldest_of(bucket, port),
        _ => oldest_of(bucket, largest_holder(bucket, port)?),
    }
}

/// The port with most learned entries of a full bucket; `port` itself if none has more. A port
/// that holds a single entry is not asked to give it up.
fn largest_holder(bucket: &Ways, port: PortId) -> Option<PortId> {
    let held = |port: PortId| {
        let learned = bucket.iter().flatten().filter(|e| e.kind == FdbKind::Learned);
        learned.filter(|entry| entry.port == port).count()
    };
    let largest = bucket.iter().flatten().map(|entry| entry.port).max_by_key(|&p| held(p))?;
    match held(port) {
        own if own >= held(largest) => Some(port),
        _ if held(largest) > 1 => Some(largest),
        _ => None,
    }
}

fn oldest_of(bucket: &Ways, port: PortId) -> Option<usize> {
    let mine =
        |way: &usize| bucket[*way].is_some_and(|e| e.port == port && e.kind == FdbKind::Learned);
    (0..WAYS).filter(mine).min_by_key(|&way| bucket[way].map(|entry| entry.seen))
}
