//! The image under QEMU, seen from outside: frames at its ports, text at its console.
//!
//! Nothing here measures time. A test waits until what must come has come; that something did not
//! come is known from a marker that was sent after it and arrived.

#[path = "qemu/balance.rs"]
mod balance;
#[path = "qemu/boot.rs"]
mod boot;
#[path = "qemu/capture.rs"]
mod capture;
#[path = "qemu/change.rs"]
mod change;
#[path = "qemu/console.rs"]
mod console;
#[path = "qemu/disk_image.rs"]
mod disk_image;
#[path = "qemu/health.rs"]
mod health;
#[path = "qemu/hostile.rs"]
mod hostile;
#[path = "qemu/jumbo.rs"]
mod jumbo;
#[path = "qemu/life.rs"]
mod life;
#[path = "qemu/lldp.rs"]
mod lldp;
#[path = "qemu/load.rs"]
mod load;
#[path = "qemu/machines.rs"]
mod machines;
#[path = "qemu/management.rs"]
mod management;
#[path = "qemu/mirror.rs"]
mod mirror;
#[path = "qemu/nics.rs"]
mod nics;
#[path = "qemu/peers.rs"]
mod peers;
#[path = "qemu/plug.rs"]
mod plug;
#[path = "qemu/rings.rs"]
mod rings;
#[path = "qemu/save.rs"]
mod save;
#[path = "qemu/seats.rs"]
mod seats;
#[path = "qemu/start.rs"]
mod start;
#[path = "qemu/switch.rs"]
mod switch;
#[path = "qemu/tenants.rs"]
mod tenants;
#[path = "qemu/transcripts.rs"]
mod transcripts;
#[path = "qemu/undisturbed.rs"]
mod undisturbed;
#[path = "qemu/virtio.rs"]
mod virtio;
