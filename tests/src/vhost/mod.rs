//! The harness's end of a `vhost-user` netdev: it reads and writes the guest's rings itself, in memory
//! that QEMU shares, and looks at them again and again. QEMU's own loop moves no frame, so what goes
//! through is what the machine can do.
//!
//! A netdev has two rings, named by the guest: it receives by the first and sends by the second. We
//! want no kicks, and notify the guest once a batch where it wants that. A thread of its own answers
//! what QEMU says ([`device`]). What it writes to a ring need not be true ([`lie`]).

mod device;
mod lie;

use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;

use vhost::vhost_user::{BackendListener, Error, Listener};
use virtio_queue::DescriptorChain;
use vm_memory::{Bytes, GuestMemoryMmap};

use self::device::Device;
pub use self::device::{RECEIVE, TRANSMIT};
pub use self::lie::{Answer, Lie, Named};
use crate::bench::wire::{BATCH, Each, FRAME_MAX, Fill};
use crate::machine::temporary_path;

/// Before each frame lies the net header of virtio 1.
const HEADER: usize = 12;
/// In the header: how many buffers the frame has, which comes last.
const BUFFERS_AT: usize = 10;

pub struct VhostUser {
    pub path: PathBuf,
    /// Until QEMU is there.
    listener: Option<Listener>,
    device: Arc<Mutex<Device>>,
    frame: Vec<u8>,
}

impl VhostUser {
    /// Listens at a path that nobody has; QEMU is told it and connects.
    pub fn listen() -> io::Result<VhostUser> {
        let path = temporary_path();
        let listener = Listener::new(&path, true).map_err(io::Error::other)?;
        let frame = vec![0; HEADER + FRAME_MAX];
        Ok(VhostUser { path, listener: Some(listener), device: Arc::default(), frame })
    }

    /// Answers QEMU, which has been started, until it ends.
    pub fn accept(&mut self) {
        let Some(mut listener) = self.listener.take() else {
            return;
        };
        let device = self.device.clone();
        thread::spawn(move || {
            // It waits until somebody connects, which nobody does where QEMU did not start.
            let accepted = BackendListener::new(&mut listener, device.clone())
                .and_then(|mut listener| listener.accept());
            if let Ok(Some(mut handler)) = accepted {
                let refused = |error: &Error| matches!(error, Error::InactiveFeature(_));
                while handler.handle_request().err().as_ref().is_none_or(refused) {}
            }
            lock(&device).stop();
        });
    }

    /// Frames for the guest; how many it had buffers for.
    pub fn send(&mut self, count: usize, fill: Fill<'_>) -> Result<usize, String> {
        let mut device = lock(&self.device);
        let Some((ring, memory)) = device.ring(RECEIVE) else {
            return Ok(0);
        };
        let mut sent = 0;
        while sent < count {
            let Some(chain) = ring.take(memory) else {
                break;
            };
            let head = chain.head_index();
            let end = HEADER + fill(sent, &mut self.frame[HEADER..]);
            self.frame[..BUFFERS_AT].fill(0);
            self.frame[BUFFERS_AT..HEADER].copy_from_slice(&1_u16.to_le_bytes());
            let written = scatter(chain, memory, &self.frame[..end])?;
            ring.give_back(memory, head, written)?;
            sent += 1;
        }
        ring.notify(memory, sent)?;
        Ok(sent)
    }

    /// Frames that the guest has sent.
    pub fn receive(&mut self, each: Each<'_>) -> Result<usize, String> {
        let mut device = lock(&self.device);
        let Some((ring, memory)) = device.ring(TRANSMIT) else {
            return Ok(0);
        };
        let mut came = 0;
        while came < BATCH {
            let Some(chain) = ring.take(memory) else {
                break;
            };
            let head = chain.head_index();
            let length = gather(chain, memory, &mut self.frame)?;
            ring.give_back(memory, head, 0)?;
            each(self.frame[..length].get_mut(HEADER..).unwrap_or_default());
            came += 1;
        }
        ring.notify(memory, came)?;
        Ok(came)
    }
}

impl Drop for VhostUser {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

fn lock(device: &Mutex<Device>) -> MutexGuard<'_, Device> {
    device.lock().expect("nobody panics with it")
}

/// Writes bytes over the buffers of a chain, as many as have place.
fn scatter(
    chain: DescriptorChain<&GuestMemoryMmap>,
    memory: &GuestMemoryMmap,
    mut bytes: &[u8],
) -> Result<usize, String> {
    let all = bytes.len();
    for buffer in chain.writable() {
        let (part, rest) = bytes.split_at(bytes.len().min(buffer.len() as usize));
        memory.write_slice(part, buffer.addr()).map_err(|error| error.to_string())?;
        bytes = rest;
    }
    Ok(all - bytes.len())
}

/// Reads the buffers of a chain, as much as has place.
fn gather(
    chain: DescriptorChain<&GuestMemoryMmap>,
    memory: &GuestMemoryMmap,
    bytes: &mut [u8],
) -> Result<usize, String> {
    let mut length = 0;
    for buffer in chain.readable() {
        let end = (length + buffer.len() as usize).min(bytes.len());
        let part = &mut bytes[length..end];
        memory.read_slice(part, buffer.addr()).map_err(|error| error.to_string())?;
        length = end;
    }
    Ok(length)
}
