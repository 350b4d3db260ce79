//! A network device as QEMU is told of it: what it can do, where the guest's memory and rings are.
//!
//! A ring is in use from its kick descriptor to the question for its base. QEMU 7.2 enables rings
//! before it has said which features it takes, which the protocol forbids and our side of it
//! refuses; so nothing depends on that, and the refusal is passed over.

use std::fs::File;
use std::io::{self, Write};
use std::sync::atomic::{Ordering, fence};

use vhost::vhost_user::message::{
    VhostTransferStateDirection, VhostTransferStatePhase, VhostUserConfigFlags, VhostUserInflight,
    VhostUserLog, VhostUserMemoryRegion, VhostUserProtocolFeatures, VhostUserShMemConfig,
    VhostUserSharedMsg, VhostUserSingleMemoryRegion, VhostUserVirtioFeatures,
    VhostUserVringAddrFlags, VhostUserVringState,
};
use vhost::vhost_user::{Error, GpuBackend, Result, VhostUserBackendReqHandlerMut};
use virtio_queue::{DescriptorChain, Queue, QueueT};
use vm_memory::{Address, Bytes, GuestAddress, GuestMemoryMmap, GuestRegionMmap};

/// The rings of a device.
pub const RECEIVE: usize = 0;
pub const TRANSMIT: usize = 1;
const RINGS: usize = 2;
const RING_SIZE_MAX: u16 = 1024;

/// As many features as the other netdevs have: indirect descriptors, notifications by index, mergeable
/// buffers, version 1 (virtio 1.2, 5.1.3 and 6); and vhost-user's own bit.
const FEATURES: u64 = 1 << 28 | EVENT_IDX | 1 << 15 | 1 << 32 | PROTOCOL_FEATURES;
const EVENT_IDX: u64 = 1 << 29;
const PROTOCOL_FEATURES: u64 = VhostUserVirtioFeatures::PROTOCOL_FEATURES.bits();
/// The flag of an available ring that wants no notifications.
const NO_INTERRUPT: u16 = 1;

pub struct Device {
    rings: [Ring; RINGS],
    memory: Option<GuestMemoryMmap>,
    /// QEMU names rings by its own addresses.
    regions: Vec<VhostUserMemoryRegion>,
}

pub struct Ring {
    queue: Queue,
    is_used: bool,
    /// Whoever writes here interrupts the guest.
    call: Option<File>,
}

impl Default for Device {
    fn default() -> Device {
        let ring = || Ring {
            queue: Queue::new(RING_SIZE_MAX).expect("a power of two"),
            is_used: false,
            call: None,
        };
        Device { rings: [ring(), ring()], memory: None, regions: Vec::new() }
    }
}

impl Device {
    /// A ring and the memory that it is in; none while the guest does not use it.
    pub fn ring(&mut self, at: usize) -> Option<(&mut Ring, &GuestMemoryMmap)> {
        let ring = &mut self.rings[at];
        ring.is_used.then_some(ring).zip(self.memory.as_ref())
    }

    /// The guest is gone.
    pub fn stop(&mut self) {
        *self = Device::default();
    }

    fn named(&mut self, index: u32) -> Result<&mut Ring> {
        self.rings.get_mut(index as usize).ok_or(Error::InvalidParam)
    }

    /// Where the guest has what QEMU has there.
    fn address(&self, of_qemu: u64) -> Result<GuestAddress> {
        let of_guest = |region: &VhostUserMemoryRegion| {
            let offset = of_qemu.checked_sub(region.user_addr)?;
            (offset < region.memory_size).then(|| GuestAddress(region.guest_phys_addr + offset))
        };
        self.regions.iter().find_map(of_guest).ok_or(Error::InvalidParam)
    }
}

impl Ring {
    /// The next chain of buffers.
    pub fn take<'a>(
        &mut self,
        memory: &'a GuestMemoryMmap,
    ) -> Option<DescriptorChain<&'a GuestMemoryMmap>> {
        self.queue.pop_descriptor_chain(memory)
    }

    pub fn give_back(
        &mut self,
        memory: &GuestMemoryMmap,
        head: u16,
        written: usize,
    ) -> std::result::Result<(), String> {
        self.queue.add_used(memory, head, written as u32).map_err(|error| error.to_string())
    }

    /// Tells the guest of a batch of so many, if it wants to be told.
    pub fn notify(
        &mut self,
        memory: &GuestMemoryMmap,
        frames: usize,
    ) -> std::result::Result<(), String> {
        if frames > 0 && self.wants_to_know(memory)? {
            self.call()?;
        }
        Ok(())
    }

    /// Writes an answer at this place of the used ring and shows nothing (virtio 1.2, 2.7.8).
    pub fn write_used(
        &self,
        memory: &GuestMemoryMmap,
        index: u16,
        element: [u32; 2],
    ) -> std::result::Result<(), String> {
        let place = u64::from(index % self.queue.size());
        let at = GuestAddress(self.queue.used_ring() + 4 + 8 * place);
        let [id, length] = element.map(u32::to_le);
        let written = memory.write_obj(id, at);
        let written = written.and_then(|()| memory.write_obj(length, at.unchecked_add(4)));
        written.map_err(|error| error.to_string())
    }

    /// Where the next answer belongs.
    pub fn next_used(&self) -> u16 {
        self.queue.next_used()
    }

    /// Shows answers up to this place, whatever they are, and tells the guest of them in any case.
    pub fn show_used(
        &mut self,
        memory: &GuestMemoryMmap,
        index: u16,
    ) -> std::result::Result<(), String> {
        fence(Ordering::Release);
        let at = GuestAddress(self.queue.used_ring() + 2);
        memory.write_obj(index.to_le(), at).map_err(|error| error.to_string())?;
        self.queue.set_next_used(index);
        self.call()
    }

    fn call(&mut self) -> std::result::Result<(), String> {
        let written = self.call.as_mut().map(|call| call.write_all(&1_u64.to_ne_bytes()));
        written.unwrap_or(Ok(())).map_err(|error| error.to_string())
    }

    fn wants_to_know(&mut self, memory: &GuestMemoryMmap) -> std::result::Result<bool, String> {
        if self.queue.event_idx_enabled() {
            return self.queue.needs_notification(memory).map_err(|error| error.to_string());
        }
        let flags = memory.read_obj(GuestAddress(self.queue.avail_ring()));
        let flags: u16 = flags.map_err(|error| error.to_string())?;
        Ok(u16::from_le(flags) & NO_INTERRUPT == 0)
    }
}

impl VhostUserBackendReqHandlerMut for Device {
    fn set_owner(&mut self) -> Result<()> {
        Ok(())
    }

    fn reset_owner(&mut self) -> Result<()> {
        Ok(())
    }

    fn reset_device(&mut self) -> Result<()> {
        self.stop();
        Ok(())
    }

    fn get_features(&mut self) -> Result<u64> {
        Ok(FEATURES)
    }

    fn set_features(&mut self, features: u64) -> Result<()> {
        for ring in &mut self.rings {
            ring.queue.set_event_idx(features & EVENT_IDX != 0);
        }
        Ok(())
    }

    fn get_protocol_features(&mut self) -> Result<VhostUserProtocolFeatures> {
        Ok(VhostUserProtocolFeatures::empty())
    }

    fn set_protocol_features(&mut self, _: u64) -> Result<()> {
        Ok(())
    }

    fn get_queue_num(&mut self) -> Result<u64> {
        Ok(RINGS as u64)
    }

    fn set_mem_table(
        &mut self,
        regions: &[VhostUserMemoryRegion],
        files: Vec<File>,
        _: Option<bool>,
    ) -> Result<Option<Vec<u64>>> {
        let mapped = regions.iter().zip(files).map(|(region, file)| {
            let start = GuestAddress(region.guest_phys_addr);
            GuestRegionMmap::new(region.mmap_region(file)?, start).ok_or(Error::InvalidParam)
        });
        let mapped = mapped.collect::<Result<Vec<_>>>()?;
        let memory = GuestMemoryMmap::from_regions(mapped);
        self.memory = Some(memory.map_err(|error| failed(io::Error::other(error)))?);
        self.regions = regions.to_vec();
        Ok(None)
    }

    fn set_vring_num(&mut self, index: u32, size: u32) -> Result<()> {
        self.named(index)?.queue.set_size(size as u16);
        Ok(())
    }

    fn set_vring_addr(
        &mut self,
        index: u32,
        _: VhostUserVringAddrFlags,
        descriptors: u64,
        used: u64,
        available: u64,
        _: u64,
    ) -> Result<()> {
        let [descriptors, available, used] =
            [self.address(descriptors)?, self.address(available)?, self.address(used)?];
        let queue = &mut self.named(index)?.queue;
        let set = queue.try_set_desc_table_address(descriptors);
        let set = set.and_then(|()| queue.try_set_avail_ring_address(available));
        let set = set.and_then(|()| queue.try_set_used_ring_address(used));
        set.map_err(|error| failed(io::Error::other(error)))
    }

    fn set_vring_base(&mut self, index: u32, base: u32) -> Result<()> {
        // Whatever is given back is given back in the order in which it was taken.
        let queue = &mut self.named(index)?.queue;
        queue.set_next_avail(base as u16);
        queue.set_next_used(base as u16);
        Ok(())
    }

    fn get_vring_base(&mut self, index: u32) -> Result<VhostUserVringState> {
        let ring = self.named(index)?;
        ring.is_used = false;
        ring.queue.set_ready(false);
        Ok(VhostUserVringState::new(index, u32::from(ring.queue.next_avail())))
    }

    /// We look by ourselves, so nobody reads what it is for.
    fn set_vring_kick(&mut self, index: u8, _: Option<File>) -> Result<()> {
        let Device { rings, memory, .. } = self;
        let ring = rings.get_mut(usize::from(index)).ok_or(Error::InvalidParam)?;
        ring.queue.set_ready(true);
        ring.is_used = true;
        if let Some(memory) = memory {
            let quiet = ring.queue.disable_notification(memory);
            quiet.map_err(|error| failed(io::Error::other(error)))?;
        }
        Ok(())
    }

    fn set_vring_call(&mut self, index: u8, call: Option<File>) -> Result<()> {
        self.named(index.into())?.call = call;
        Ok(())
    }

    fn set_vring_err(&mut self, _: u8, _: Option<File>) -> Result<()> {
        Ok(())
    }

    fn set_vring_enable(&mut self, _: u32, _: bool) -> Result<()> {
        Ok(())
    }

    // What was not offered is not asked for.

    fn get_config(&mut self, _: u32, _: u32, _: VhostUserConfigFlags) -> Result<Vec<u8>> {
        Err(NOT_OFFERED)
    }

    fn set_config(&mut self, _: u32, _: &[u8], _: VhostUserConfigFlags) -> Result<()> {
        Err(NOT_OFFERED)
    }

    fn set_gpu_socket(&mut self, _: GpuBackend) -> Result<()> {
        Err(NOT_OFFERED)
    }

    fn get_shared_object(&mut self, _: VhostUserSharedMsg) -> Result<File> {
        Err(NOT_OFFERED)
    }

    fn get_inflight_fd(&mut self, _: &VhostUserInflight) -> Result<(VhostUserInflight, File)> {
        Err(NOT_OFFERED)
    }

    fn set_inflight_fd(&mut self, _: &VhostUserInflight, _: File) -> Result<()> {
        Err(NOT_OFFERED)
    }

    fn get_max_mem_slots(&mut self) -> Result<u64> {
        Err(NOT_OFFERED)
    }

    fn add_mem_region(
        &mut self,
        _: &VhostUserSingleMemoryRegion,
        _: File,
        _: Option<bool>,
    ) -> Result<Option<u64>> {
        Err(NOT_OFFERED)
    }

    fn remove_mem_region(&mut self, _: &VhostUserSingleMemoryRegion) -> Result<()> {
        Err(NOT_OFFERED)
    }

    fn set_device_state_fd(
        &mut self,
        _: VhostTransferStateDirection,
        _: VhostTransferStatePhase,
        _: File,
    ) -> Result<Option<File>> {
        Err(NOT_OFFERED)
    }

    fn check_device_state(&mut self) -> Result<()> {
        Err(NOT_OFFERED)
    }

    fn get_shmem_config(&mut self) -> Result<VhostUserShMemConfig> {
        Err(NOT_OFFERED)
    }

    fn set_log_base(&mut self, _: &VhostUserLog, _: File) -> Result<()> {
        Err(NOT_OFFERED)
    }
}

const NOT_OFFERED: Error = Error::InvalidOperation("it was not offered");

fn failed(error: io::Error) -> Error {
    Error::ReqHandlerError(error)
}
