//! The harness's end of a wire: frames in batches, with as few calls as the kernel allows.
//!
//! A datagram socket carries one frame each, many in one call (`sendmmsg`, `recvmmsg`). A stream
//! socket carries each frame behind its length (four bytes, the first one highest, as QEMU has it),
//! and as many in one call as fit into a buffer. `vhost-user` is memory that is looked at. No call
//! waits; who wants to wait asks for [`wait`].

use std::io::{self, ErrorKind, IoSlice, IoSliceMut, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::thread;
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{MsgFlags, MultiHeaders, recvmmsg, sendmmsg};

use crate::vhost::VhostUser;

/// Frames in one call.
pub const BATCH: usize = 64;
/// No frame here is longer.
pub const FRAME_MAX: usize = 2048;
const LENGTH: usize = 4;

/// What a wire is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Netdev {
    Dgram,
    Stream,
    VhostUser,
}

pub enum Wire {
    Dgram(Box<Dgram>),
    Stream(Box<Stream>),
    VhostUser(Box<VhostUser>),
}

/// The other end of a wire, and how QEMU is told of it.
pub struct Far {
    /// Options of QEMU, but for the wire's name.
    pub options: Vec<String>,
    /// A descriptor that QEMU inherits under this number.
    pub inherited: Option<(OwnedFd, i32)>,
}

pub struct Dgram {
    socket: UnixDatagram,
    headers: MultiHeaders<()>,
    sending: Vec<u8>,
    received: Vec<u8>,
}

pub struct Stream {
    socket: UnixStream,
    /// The rest of a frame whose beginning is on its way; then room for a batch.
    sending: Vec<u8>,
    unsent: usize,
    received: Vec<u8>,
    filled: usize,
}

/// The receiver of frames that may be changed where they lie.
pub type Each<'a> = &'a mut dyn FnMut(&mut [u8]);
/// Writes a frame, whose number within the batch is told, into the buffer and says how long it is.
pub type Fill<'a> = &'a mut dyn FnMut(usize, &mut [u8]) -> usize;

impl Netdev {
    pub const fn as_str(self) -> &'static str {
        match self {
            Netdev::Dgram => "dgram",
            Netdev::Stream => "stream",
            Netdev::VhostUser => "vhost-user",
        }
    }

    /// A wire, and its other end for QEMU, there with this name and descriptor.
    pub fn plug(self, name: &str, fd: i32) -> io::Result<(Wire, Far)> {
        if self == Netdev::VhostUser {
            let wire = VhostUser::listen()?;
            let path = wire.path.display();
            let options = vec![
                "-chardev".into(),
                format!("socket,id=c-{name},path={path}"),
                "-netdev".into(),
                format!("vhost-user,id={name},chardev=c-{name}"),
            ];
            return Ok((Wire::VhostUser(Box::new(wire)), Far { options, inherited: None }));
        }
        let (near, far) = self.sockets()?;
        let netdev = match self {
            Netdev::Dgram => format!("dgram,id={name},local.type=fd,local.str={fd}"),
            _ => format!("stream,id={name},server=off,addr.type=fd,addr.str={fd}"),
        };
        let options = vec!["-netdev".into(), netdev];
        Ok((self.adopt(near)?, Far { options, inherited: Some((far, fd)) }))
    }

    /// A wire with both of its ends here. Of what has no sockets it is one of datagrams.
    pub fn loop_back(self) -> io::Result<(Wire, Wire)> {
        let (near, far) = self.sockets()?;
        Ok((self.adopt(near)?, self.adopt(far)?))
    }

    fn sockets(self) -> io::Result<(OwnedFd, OwnedFd)> {
        match self {
            Netdev::Dgram | Netdev::VhostUser => {
                UnixDatagram::pair().map(|(near, far)| (near.into(), far.into()))
            }
            Netdev::Stream => UnixStream::pair().map(|(near, far)| (near.into(), far.into())),
        }
    }

    fn adopt(self, end: OwnedFd) -> io::Result<Wire> {
        Ok(match self {
            Netdev::Dgram | Netdev::VhostUser => Wire::Dgram(Box::new(Dgram::new(end.into())?)),
            Netdev::Stream => Wire::Stream(Box::new(Stream::new(end.into())?)),
        })
    }
}

impl Wire {
    /// Offers so many frames, at most a batch; how many were taken. The others are forgotten.
    pub fn send(&mut self, count: usize, fill: Fill<'_>) -> Result<usize, String> {
        let count = count.min(BATCH);
        match self {
            Wire::Dgram(wire) => wire.send(count, fill),
            Wire::Stream(wire) => wire.send(count, fill),
            Wire::VhostUser(wire) => wire.send(count, fill),
        }
    }

    /// Takes what has come, at most a batch; how many.
    pub fn receive(&mut self, each: Each<'_>) -> Result<usize, String> {
        match self {
            Wire::Dgram(wire) => wire.receive(each),
            Wire::Stream(wire) => wire.receive(each),
            Wire::VhostUser(wire) => wire.receive(each),
        }
    }

    /// Once QEMU has been started.
    pub fn connect(&mut self) {
        match self {
            Wire::Dgram(_) | Wire::Stream(_) => {}
            Wire::VhostUser(wire) => wire.accept(),
        }
    }

    /// What can be waited for; nothing where one has to look.
    fn socket(&self) -> Option<BorrowedFd<'_>> {
        match self {
            Wire::Dgram(wire) => Some(wire.socket.as_fd()),
            Wire::Stream(wire) => Some(wire.socket.as_fd()),
            Wire::VhostUser(_) => None,
        }
    }
}

/// Waits until a frame has come on one of the wires, or one of those that have something to send
/// takes it; at most so long.
pub fn wait(wires: &[(&Wire, bool)], limit: Duration) {
    let mut polled: Vec<PollFd<'_>> = Vec::with_capacity(wires.len());
    for (wire, sends) in wires {
        let Some(socket) = wire.socket() else {
            return thread::yield_now();
        };
        let writable = if *sends { PollFlags::POLLOUT } else { PollFlags::empty() };
        polled.push(PollFd::new(socket, PollFlags::POLLIN | writable));
    }
    let limit = PollTimeout::try_from(limit).unwrap_or(PollTimeout::MAX);
    // Whatever ended it, the caller looks again.
    let _ = poll(&mut polled, limit);
}

impl Dgram {
    fn new(socket: UnixDatagram) -> io::Result<Dgram> {
        socket.set_nonblocking(true)?;
        Ok(Dgram {
            socket,
            headers: MultiHeaders::preallocate(BATCH, None),
            sending: vec![0; BATCH * FRAME_MAX],
            received: vec![0; BATCH * FRAME_MAX],
        })
    }

    fn send(&mut self, count: usize, fill: Fill<'_>) -> Result<usize, String> {
        let mut lengths = [0; BATCH];
        for (at, buffer) in self.sending.chunks_exact_mut(FRAME_MAX).take(count).enumerate() {
            lengths[at] = fill(at, buffer);
        }
        let frames = self.sending.chunks_exact(FRAME_MAX).zip(lengths).take(count);
        let frames: Vec<[IoSlice<'_>; 1]> =
            frames.map(|(buffer, length)| [IoSlice::new(&buffer[..length])]).collect();
        let flags = MsgFlags::MSG_DONTWAIT;
        let fd = self.socket.as_raw_fd();
        match sendmmsg(fd, &mut self.headers, &frames, [None; BATCH], [], flags) {
            Ok(sent) => Ok(sent.count()),
            Err(Errno::EAGAIN | Errno::ENOBUFS) => Ok(0),
            Err(error) => Err(format!("a frame was not sent: {error}")),
        }
    }

    fn receive(&mut self, each: Each<'_>) -> Result<usize, String> {
        let mut lengths = [0; BATCH];
        let mut buffers: Vec<[IoSliceMut<'_>; 1]> = self
            .received
            .chunks_exact_mut(FRAME_MAX)
            .map(|buffer| [IoSliceMut::new(buffer)])
            .collect();
        let flags = MsgFlags::MSG_DONTWAIT;
        let fd = self.socket.as_raw_fd();
        let count = match recvmmsg(fd, &mut self.headers, &mut buffers, flags, None) {
            Ok(messages) => {
                messages.zip(&mut lengths).map(|(message, length)| *length = message.bytes).count()
            }
            Err(Errno::EAGAIN) => 0,
            Err(error) => return Err(format!("no frame was received: {error}")),
        };
        for (buffer, &length) in self.received.chunks_exact_mut(FRAME_MAX).zip(&lengths[..count]) {
            each(&mut buffer[..length]);
        }
        Ok(count)
    }
}

impl Stream {
    fn new(socket: UnixStream) -> io::Result<Stream> {
        socket.set_nonblocking(true)?;
        Ok(Stream {
            socket,
            sending: vec![0; (BATCH + 1) * (LENGTH + FRAME_MAX)],
            unsent: 0,
            received: vec![0; (BATCH + 1) * (LENGTH + FRAME_MAX)],
            filled: 0,
        })
    }

    fn send(&mut self, count: usize, fill: Fill<'_>) -> Result<usize, String> {
        let mut ends = [0; BATCH];
        let mut end = self.unsent;
        for (at, frame_end) in ends[..count].iter_mut().enumerate() {
            let frame = end + LENGTH;
            let length = fill(at, &mut self.sending[frame..frame + FRAME_MAX]);
            self.sending[end..frame].copy_from_slice(&(length as u32).to_be_bytes());
            end = frame + length;
            *frame_end = end;
        }
        let written = match self.socket.write(&self.sending[..end]) {
            Ok(written) => written,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(0),
            Err(error) => return Err(format!("a frame was not sent: {error}")),
        };
        let (taken, end) = begun(self.unsent, &ends[..count], written);
        self.sending.copy_within(written..end, 0);
        self.unsent = end - written;
        Ok(taken)
    }

    fn receive(&mut self, each: Each<'_>) -> Result<usize, String> {
        match self.socket.read(&mut self.received[self.filled..]) {
            Ok(0) => return Err("the other end of the wire is gone".into()),
            Ok(length) => self.filled += length,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(0),
            Err(error) => return Err(format!("no frame was received: {error}")),
        }
        let (mut at, mut count) = (0, 0);
        while let Some(frame) = next_frame(&self.received[at..self.filled])? {
            each(&mut self.received[at + LENGTH..at + LENGTH + frame]);
            at += LENGTH + frame;
            count += 1;
        }
        self.received.copy_within(at..self.filled, 0);
        self.filled -= at;
        Ok(count)
    }
}

/// Of a buffer in which the rest of a frame, so long, is followed by frames that end there, so many
/// bytes are on their way: how many of the frames have begun, and where the last of those ends.
fn begun(rest: usize, ends: &[usize], written: usize) -> (usize, usize) {
    let starts = std::iter::once(&rest).chain(ends);
    let taken = starts.zip(ends).filter(|(start, _)| **start < written).count();
    (taken, if taken == 0 { rest.max(written) } else { ends[taken - 1] })
}

/// The length of the frame that these bytes begin with, if all of it is there.
fn next_frame(bytes: &[u8]) -> Result<Option<usize>, String> {
    let Some((length, rest)) = bytes.split_first_chunk::<LENGTH>() else {
        return Ok(None);
    };
    let length = u32::from_be_bytes(*length) as usize;
    if length > FRAME_MAX {
        return Err(format!("a frame of {length} bytes came: the stream is out of step"));
    }
    Ok((rest.len() >= length).then_some(length))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_begun_goes_on() {
        // The rest of one frame, 10 bytes, then frames of 20 bytes each.
        let ends = [30, 50, 70];
        for (written, taken, end) in [
            (0, 0, 10),
            (9, 0, 10),
            (10, 0, 10),
            (11, 1, 30),
            (30, 1, 30),
            (31, 2, 50),
            (70, 3, 70),
        ] {
            assert_eq!(begun(10, &ends, written), (taken, end), "{written} bytes written");
        }
        assert_eq!(begun(0, &[20], 1), (1, 20));
    }

    #[test]
    fn a_frame_is_whole_or_not_there() {
        let mut bytes = vec![0, 0, 0, 3, 1, 2, 3];
        assert_eq!(next_frame(&bytes), Ok(Some(3)));
        bytes.pop();
        assert_eq!(next_frame(&bytes), Ok(None));
        assert_eq!(next_frame(&bytes[..3]), Ok(None));
        assert!(next_frame(&[0, 1, 0, 0]).is_err());
    }

    /// More than the sockets hold, so that writes end in the middle of frames.
    #[test]
    fn frames_come_as_they_were_sent() {
        for (netdev, length) in [(Netdev::Dgram, 64), (Netdev::Stream, 64), (Netdev::Stream, 1514)]
        {
            let (mut near, mut far) = netdev.loop_back().expect("descriptors are free");
            let (mut sent, mut came) = (0_u64, 0_u64);
            while came < 5_000 {
                sent += near
                    .send(BATCH, &mut |at, buffer| {
                        buffer[..8].copy_from_slice(&(sent + at as u64).to_be_bytes());
                        length
                    })
                    .unwrap() as u64;
                far.receive(&mut |frame| {
                    assert_eq!(frame.len(), length);
                    assert_eq!(frame[..8], came.to_be_bytes());
                    came += 1;
                })
                .unwrap();
            }
        }
    }
}
