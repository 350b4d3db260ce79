//! Buffers and frames: who has which, and what moves in them.

use super::*;

fn numbered(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at / 7) as u8 ^ (at >> 8) as u8).collect()
}

impl Frame {
    pub(crate) fn offload_mut(&mut self) -> &mut Offload {
        &mut self.0.offload
    }

    /// All that the device finds.
    pub(crate) fn whole_for_device(&self) -> Vec<(u64, u32)> {
        core::iter::once(self.device_head()).chain(self.further_parts()).collect()
    }
}

fn whole(frame: &Frame) -> Vec<u8> {
    frame.further().fold(frame.to_vec(), |bytes, part| [&bytes, part].concat())
}

#[test]
fn every_buffer_is_given_out_once_and_comes_back() {
    let pool = Pool::new(9);
    let mut frames: Vec<Frame> = core::iter::from_fn(|| pool.take()).collect();
    assert_eq!((frames.len(), pool.free(), pool.total()), (9, 0, 9));

    let mut addresses: Vec<u64> = frames.iter().map(Frame::device_address).collect();
    addresses.sort_unstable();
    let expected: Vec<u64> =
        (0..9).map(|index| addresses[0] + index * BUFFER_BYTES as u64).collect();
    assert_eq!(addresses, expected, "one region, no gaps");
    assert_eq!(addresses[0] % PAGE_BYTES as u64, FURTHER_AT as u64);

    let last = frames.pop().unwrap().device_address();
    assert_eq!(pool.free(), 1);
    assert_eq!(pool.take().unwrap().device_address(), last, "used last, used next");
    drop(frames);
    assert_eq!(pool.free(), 9);
}

#[test]
fn a_copy_has_the_bytes_and_not_the_buffer() {
    let pool = Pool::new(2);
    let mut frame = pool.take_copy(b"sixteen bytes of").unwrap();
    let copy = frame.copy().unwrap();
    assert!(frame.copy().is_none(), "the pool is empty");
    frame.fill(0);
    assert_eq!(&*copy, b"sixteen bytes of");
    assert_eq!(pool.free(), 0);
}

#[test]
fn a_frame_stays_inside_its_buffer() {
    let pool = Pool::new(3);
    let (below, mut frame, above) =
        (pool.take_copy(&[1; 2048]), pool.take().unwrap(), pool.take_copy(&[3; 2048]));
    frame.set_len(HEAD_BYTES_MAX);
    frame.fill(2);
    frame.write_header([2; NIC_HEADER_BYTES]);
    assert_eq!(frame.read_header(), [2; 12]);
    assert!(below.unwrap().iter().all(|&byte| byte == 1));
    assert!(above.unwrap().iter().all(|&byte| byte == 3));
}

#[test]
fn a_long_frame_is_a_chain_of_full_buffers() {
    let pool = Pool::new(2 * BUFFERS_PER_FRAME_MAX);
    let first = pool.take().unwrap().0.buffer.addr().get();
    for (len, buffers) in [
        (0, 1),
        (HEAD_BYTES_MAX, 1),
        (HEAD_BYTES_MAX + 1, 2),
        (HEAD_BYTES_MAX + FURTHER_BYTES_MAX, 2),
        (HEAD_BYTES_MAX + FURTHER_BYTES_MAX + 1, 3),
        (FRAME_BYTES_MAX, BUFFERS_PER_FRAME_MAX),
    ] {
        let bytes = numbered(len);
        let frame = pool.take_copy(&bytes).unwrap();
        let copy = frame.copy().unwrap();
        assert_eq!((frame.total_len(), frame.buffers()), (len, buffers));
        assert_eq!(pool.total() - pool.free(), 2 * buffers);
        drop(frame);
        assert_eq!(whole(&copy), bytes);
        let parts: Vec<(u64, u32)> = copy.whole_for_device();
        assert_eq!(parts.len(), buffers);
        let told: usize = parts.iter().map(|&(_, len)| len as usize).sum();
        assert_eq!(told, NIC_HEADER_BYTES + len);
        assert!(parts.iter().all(|part| (part.0 as usize - first) % BUFFER_BYTES == FURTHER_AT));
        drop(copy);
        assert_eq!(pool.free(), pool.total());
    }
}

/// A tag behind the addresses, as the switch puts it on and takes it off.
#[test]
fn bytes_are_put_in_and_taken_out_and_nothing_behind_them_moves() {
    let pool = Pool::new(8);
    let tag = [0x81, 0, 0, 10];
    for len in [12, 60, 1514, HEAD_BYTES_MAX, HEAD_BYTES_MAX + 1, 3 * BUFFER_BYTES] {
        let bytes = numbered(len);
        let tagged = [&bytes[..12], &tag, &bytes[12..]].concat();
        let mut frame = pool.take_copy(&bytes).unwrap();
        let checksum = crate::offload::PartialChecksum { start: 34, offset: 16 };
        frame.set_offload(Offload { checksum: Some(checksum), segments: None });
        let last = frame.as_ptr_range().end;

        frame.insert(12, tag);
        assert_eq!((whole(&frame), frame.total_len()), (tagged.clone(), len + 4));
        assert_eq!(frame.as_ptr_range().end, last, "what is behind stays where it is");
        assert_eq!(frame.offload().checksum.unwrap().start, 38);
        frame.write_header([9; NIC_HEADER_BYTES]);
        let mut copy = frame.copy().unwrap();
        assert_eq!((whole(&copy), copy.buffers()), (tagged.clone(), frame.buffers()));
        assert_eq!(copy.offload(), frame.offload());

        assert_eq!(copy.remove(12), tag);
        assert_eq!(frame.remove(12), tag);
        for frame in [&frame, &copy] {
            assert_eq!((whole(frame), frame.total_len()), (bytes.clone(), len));
            assert_eq!(frame.offload().checksum, Some(checksum));
            let told: usize = frame.whole_for_device().iter().map(|&(_, len)| len as usize).sum();
            assert_eq!(told, NIC_HEADER_BYTES + len);
        }
        assert_eq!(frame.remove::<4>(0), bytes[..4], "also of a frame that was given none");
        assert_eq!(whole(&frame), bytes[4..]);
        drop((frame, copy));
        assert_eq!(pool.free(), pool.total(), "a buffer is known wherever its head begins");
    }
}

#[test]
#[should_panic(expected = "does not fit")]
fn a_head_that_was_moved_down_has_less_room() {
    let mut frame = Pool::new(1).take_copy(&[0; 60]).unwrap();
    let _: [u8; 4] = frame.remove(12);
    frame.set_len(HEAD_BYTES_MAX);
}

#[test]
#[should_panic(expected = "headroom")]
fn a_nics_header_keeps_its_place() {
    let mut frame = Pool::new(1).take_copy(&[0; 60]).unwrap();
    (0..14).for_each(|_| frame.insert(12, [0; 4]));
}

#[test]
fn a_copy_that_is_refused_takes_no_buffer() {
    let pool = Pool::new(4);
    assert!(pool.take_copy(&[0; FRAME_BYTES_MAX + 1]).is_none());
    assert!(pool.take_copy(&[0; HEAD_BYTES_MAX + 4 * FURTHER_BYTES_MAX]).is_none());
    assert_eq!(pool.free(), 4);
    let frame = pool.take_copy(&[0; HEAD_BYTES_MAX + 2 * FURTHER_BYTES_MAX]).unwrap();
    assert!(frame.copy().is_none(), "one buffer is left, three are needed");
    assert_eq!(pool.free(), 1);
}

#[test]
#[should_panic(expected = "2049 bytes")]
fn a_length_beyond_the_buffer_is_our_own_mistake() {
    Pool::new(1).take().unwrap().set_len(HEAD_BYTES_MAX + 1);
}
