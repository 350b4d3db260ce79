//! Real stacks and programs on taps: HTTP by wrk and nginx, bulk data by iperf3.
//!
//! ```text
//!   wrk, iperf3 ── tap ── NIC 0 ┃ machine ┃ NIC 1 ── tap ┬─ macvlan ── nginx, iperf3
//!                                                        ┆  four of them, each a namespace
//! ```
//!
//! Everything lies in namespaces of its own and needs root.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::super::frames::{CLIENT, REAL_PORT, REALS, SERVICE_PORT, VIP, real_address, real_mac};
use super::super::qemu::{Launch, Qemu};
use super::super::sheet::{Figure, Sheet, Topic, Unit};
use super::super::space::{Server, Space};
use super::super::system::{Duty, Plan, System};
use super::super::vm::{PATIENCE, Setup};
use super::super::wire::Far;
use super::Effort;
use crate::machine::temporary_path;

const CALLS: &str = "16";

/// Nothing is left to a NIC.
const PLAIN: &str = ",csum=off,gso=off,host_tso4=off,host_tso6=off,host_ecn=off,host_ufo=off,\
                     guest_csum=off,guest_tso4=off,guest_tso6=off,guest_ecn=off,guest_ufo=off";

/// The machine, its neighbours, and what they serve; what is started last is ended first.
struct World {
    servers: Vec<Server>,
    qemu: Qemu,
    client: Space,
    reals: Vec<Space>,
    /// Where the machine and the reals' tap are.
    middle: Space,
    files: PathBuf,
}

pub fn http(sheet: &mut Sheet, setup: Setup, effort: &Effort) -> Result<(), String> {
    let world = World::new(setup, "")?;
    let url = format!("http://{VIP}:{SERVICE_PORT}/");
    world.until_it_works(|| world.wrk(&url, Duration::from_secs(1), false))?;
    for (what, closes) in [("kept connections", false), ("a connection each", true)] {
        let rate = world.wrk(&url, effort.load.max(Duration::from_secs(1)), closes)?;
        let what = format!("HTTP {}, {CALLS} at a time, {what}", setup.duty.as_str());
        sheet.add(&Figure::new(Topic::Stacks, what, Unit::RequestsPerSecond), setup.system, rate);
    }
    Ok(())
}

pub fn bulk(sheet: &mut Sheet, setup: Setup, effort: &Effort) -> Result<(), String> {
    for (what, nic) in [("all offloads", ""), ("no offloads", PLAIN)] {
        let world = World::new(setup, nic)?;
        world.until_it_works(|| world.iperf3(Duration::from_secs(1)))?;
        let rate = world.iperf3(effort.load.max(Duration::from_secs(1)))?;
        let what = format!("TCP {}, {what}", setup.duty.as_str());
        sheet.add(&Figure::new(Topic::Stacks, what, Unit::MegabitsPerSecond), setup.system, rate);
    }
    Ok(())
}

impl World {
    fn new(setup: Setup, nic: &'static str) -> Result<World, String> {
        let Plan::Guest(guest) = setup.system.plan(setup.duty) else {
            return Err(format!("{} is no machine", setup.system));
        };
        let (client, middle) = (Space::new()?, Space::new()?);
        for tap in ["up0", "p1"] {
            middle.ip(&format!("tuntap add {tap} mode tap"))?;
        }
        let qemu = Qemu::start(Launch {
            guest: Some(guest),
            memory_mib: setup.memory_mib,
            shares_memory: false,
            counts: false,
            wires: [tap("n0", "up0"), tap("n1", "p1")],
            nic,
            space: Some(middle.name.clone()),
        });
        let qemu = qemu.map_err(|error| format!("{} was not started: {error}", setup.system))?;
        if !qemu.is_ready_within(PATIENCE) {
            return Err(format!("{} was not ready", setup.system));
        }
        if setup.system == System::Fulcrum {
            qemu.console.script_mode();
        }
        let files = temporary_path();
        let mut world =
            World { servers: Vec::new(), qemu, client, reals: Vec::new(), middle, files };
        world.settle_client(setup)?;
        world.middle.ip("link set p1 up")?;
        for real in 1..=REALS {
            world.settle_real(setup, real)?;
        }
        let has_reals = || setup.system.has_reals(setup.duty, &world.qemu.console);
        world.until_it_works(|| has_reals().then_some(()).ok_or("reals are not there".into()))?;
        Ok(world)
    }

    /// A machine that routes is the next hop of either side; by one that switches all are neighbours.
    fn settle_client(&self, setup: Setup) -> Result<(), String> {
        let (mac, address) = CLIENT;
        let client = &self.client;
        self.middle.ip(&format!("link set up0 netns {}", client.name))?;
        client.ip(&format!("link set up0 address {mac} up"))?;
        client.ip(&format!("address add {address}/24 dev up0"))?;
        let via = if setup.system.routes(setup.duty) { "via 10.0.2.1" } else { "dev up0" };
        client.ip(&format!("route add 10.0.3.0/24 {via}")).map(drop)
    }

    fn settle_real(&mut self, setup: Setup, real: u8) -> Result<(), String> {
        let space = Space::new()?;
        let (mac, address) = (real_mac(real), real_address(real));
        let name = &space.name;
        self.middle.ip(&format!(
            "link add link p1 name eth0 netns {name} address {mac} type macvlan mode bridge"
        ))?;
        space.ip("link set eth0 up")?;
        space.ip(&format!("address add {address}/24 dev eth0"))?;
        let via = if setup.system.routes(setup.duty) { "via 10.0.3.1" } else { "dev eth0" };
        space.ip(&format!("route add 10.0.2.0/24 {via}"))?;
        if matches!(setup.duty, Duty::Direct | Duty::DirectBothWays) {
            space.run(&["sysctl", "-qw", "net.ipv4.conf.all.arp_ignore=1"])?;
            space.run(&["sysctl", "-qw", "net.ipv4.conf.all.arp_announce=2"])?;
            space.ip(&format!("address add {VIP}/32 dev lo"))?;
        }
        let files = self.files.join(real.to_string());
        fs::create_dir_all(&files).map_err(|error| error.to_string())?;
        let configuration = files.join("nginx.conf");
        fs::write(&configuration, nginx_configuration(&files.display().to_string()))
            .map_err(|error| error.to_string())?;
        let (nginx, iperf3) = (program("nginx")?, program("iperf3")?);
        let words = [&nginx, "-c", &configuration.display().to_string()];
        self.servers.push(space.serve(&words)?);
        self.servers.push(space.serve(&[&iperf3, "--server"])?);
        self.reals.push(space);
        Ok(())
    }

    /// Requests a second.
    fn wrk(&self, url: &str, time: Duration, closes: bool) -> Result<f64, String> {
        let (wrk, time) = (program("wrk")?, format!("{}s", time.as_secs()));
        let mut words = vec![&wrk, "-t", "1", "-c", CALLS, "-d", &time];
        if closes {
            words.extend(["-H", "Connection: close"]);
        }
        words.push(url);
        requests_a_second(&self.client.run(&words)?)
    }

    /// Megabits a second that arrived.
    fn iperf3(&self, time: Duration) -> Result<f64, String> {
        let (iperf3, time) = (program("iperf3")?, time.as_secs().to_string());
        let to = real_address(1).to_string();
        let words =
            [&iperf3, "--client", &to, "--time", &time, "--json", "--connect-timeout", "1000"];
        megabits_a_second(&self.client.run(&words)?)
    }

    fn until_it_works<T>(&self, mut tried: impl FnMut() -> Result<T, String>) -> Result<T, String> {
        let start = Instant::now();
        loop {
            match tried() {
                Ok(done) => return Ok(done),
                Err(failure) if start.elapsed() > PATIENCE / 3 => return Err(failure),
                Err(_) => std::thread::sleep(Duration::from_millis(200)),
            }
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.files);
    }
}

fn tap(name: &str, tap: &str) -> Far {
    let netdev = format!("tap,id={name},ifname={tap},script=no,downscript=no");
    Far { options: vec!["-netdev".into(), netdev], inherited: None }
}

/// One of those that tests/lib/rivals.sh unpacks.
fn program(name: &str) -> Result<String, String> {
    let directory = std::env::var("FULCRUM_RIVALS");
    let directory = directory.map_err(|_| "FULCRUM_RIVALS is set by ./tests/bench.sh")?;
    Ok(format!("{directory}/{name}/run"))
}

/// One process, for a worker would outlive its master that is killed.
fn nginx_configuration(files: &str) -> String {
    let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
    let temporary = temporary.map(|name| format!("{name}_temp_path {files}/{name};"));
    format!(
        "daemon off;\nmaster_process off;\npid {files}/pid;\nerror_log {files}/log;\n\
         events {{ worker_connections 4096; }}\n\
         http {{\n{}\naccess_log off;\nkeepalive_requests 1000000;\n\
         server {{ listen {SERVICE_PORT}; listen {REAL_PORT}; \
         location / {{ return 200 \"served\\n\"; }} }}\n}}\n",
        temporary.join("\n")
    )
}

/// Of wrk's report; answers other than 200 and lost connections are no requests.
fn requests_a_second(report: &str) -> Result<f64, String> {
    if report.contains("Non-2xx") || report.contains("Socket errors") {
        return Err(format!("not every request was answered: {report}"));
    }
    let rate = report.lines().find_map(|line| line.trim().strip_prefix("Requests/sec:"));
    let rate = rate.and_then(|rate| rate.trim().parse::<f64>().ok());
    rate.filter(|rate| *rate > 0.0).ok_or(format!("wrk says: {report}"))
}

/// Of iperf3's JSON.
fn megabits_a_second(report: &str) -> Result<f64, String> {
    let received = report.split("\"sum_received\"").nth(1);
    let rate = received.and_then(|received| received.split("\"bits_per_second\":").nth(1));
    let rate =
        rate.and_then(|rate| rate.split([',', '\n', '}']).next()?.trim().parse::<f64>().ok());
    rate.map(|rate| rate / 1e6).ok_or(format!("iperf3 says: {report}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_are_understood() {
        let wrk = "  2 threads\n  Latency 1ms\nRequests/sec:  14600.25\nTransfer/sec: 3MB\n";
        assert_eq!(requests_a_second(wrk), Ok(14_600.25));
        assert!(requests_a_second(&wrk.replace("Transfer", "Socket errors: connect 1")).is_err());
        assert!(requests_a_second("Requests/sec: 0.00\n").is_err());
        let iperf3 = "{\"end\": {\"sum_sent\": {\"bits_per_second\": 9},\n\
                      \"sum_received\": {\"seconds\": 3.1,\n\"bits_per_second\":\t2.5e8,\n\"x\": 1}}}";
        assert_eq!(megabits_a_second(iperf3), Ok(250.0));
        assert!(megabits_a_second("{}").is_err());
    }
}
