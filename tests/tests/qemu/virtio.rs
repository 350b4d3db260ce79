//! virtio-net in all the forms that QEMU gives it: a port is a port.

use tests::machine::Board::{Pc, Q35};
use tests::{Frame, MacAddr, Machine, Raw, Setup, Station};

/// One NIC of each form. Of what they offer only that is taken which a switch on one core has a use for
/// (drivers/src/virtio/handshake.rs); the rest must not be in the way.
const FORMS: &[&str] = &[
    "virtio-net-pci-transitional",
    "virtio-net-pci-non-transitional",
    "virtio-net-pci,page-per-vq=on",
    "virtio-net-pci,mq=on,vectors=6",
    "virtio-net-pci,mq=on,rss=on,vectors=0",
    "virtio-net-pci,indirect_desc=off",
    "virtio-net-pci,event_idx=off,indirect_desc=off",
    "virtio-net-pci,packed=on",
    "virtio-net-pci,rx_queue_size=512",
    "virtio-net-pci,rx_queue_size=1024",
    "virtio-net-pci,failover=on,id=standby",
    "virtio-net-pci,host_mtu=1500,speed=10000,duplex=full",
    "virtio-net-pci-non-transitional,iommu_platform=on",
    "virtio-net-pci,mrg_rxbuf=off,status=off,ctrl_vq=off,csum=off,guest_csum=off,gso=off,\
     guest_tso4=off,guest_tso6=off,guest_ecn=off,guest_ufo=off,host_tso4=off,host_tso6=off,\
     host_ecn=off,host_ufo=off,indirect_desc=off,event_idx=off",
];

fn frame(from: &Station, to: MacAddr, len: usize) -> Frame {
    let payload = (0..len - 14).map(|at| (at / 3) as u8 ^ len as u8).collect();
    Frame::Raw(Raw { from: from.mac, to, ether_type: 0x88b6, payload })
}

/// Every port hears every other one; between each and the next go frames of all lengths, and rings
/// go round several times; nobody sees a fault.
#[test]
fn every_form_is_a_port() {
    for board in [Pc, Q35] {
        println!("{board:?}");
        let ports = FORMS.len();
        let machine = Machine::boot(Setup { board, ports, models: FORMS, ..Setup::default() });
        machine.assert_switches();
        let stations: Vec<Station> = (0..ports).map(|port| machine.station(port)).collect();
        for (at, form) in FORMS.iter().enumerate() {
            println!("{form}");
            let (here, there) = (&stations[at], &stations[(at + 1) % ports]);
            for len in [60, 61, 590, 1513, 1514] {
                for (from, to) in [(here, there), (there, here)] {
                    from.send(frame(from, to.mac, len));
                    to.expect(frame(from, to.mac, len));
                }
            }
            for _ in 0..6 {
                (0..200).for_each(|number| there.send(frame(there, here.mac, 60 + number)));
                (0..200).for_each(|number| here.expect(frame(there, here.mac, 60 + number)));
            }
        }
        machine.assert_accounted();
        for port in 1..ports {
            let about = machine.console.command(&format!("show port p{port}"));
            assert!(about.contains("virtio-net at "), "{about}");
            assert!(!about.contains("faults") && !about.contains("resets"), "{about}");
        }
    }
}
