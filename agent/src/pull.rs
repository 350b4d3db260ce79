//! HAProxy's agent check: who connects is told one line, and that is all.
//!
//! ```text
//! up ready 62% #cache is cold
//! ```
//!
//! The words are HAProxy's own. It passes over a word that it does not know but shows it as an
//! error of the agent's, so `weight:N` and the numbers stay out of its line.
//!
//! # The per cent
//!
//! HAProxy multiplies a server's configured weight by `N%`, gives requests in proportion to the
//! products, and knows nothing of how one server's load answers to its share. So the rule is made
//! to settle:
//!
//! ```text
//! N = 100            up to a load of 0.5
//! N = 100 × 0.5/load above it, never less than 1
//! ```
//!
//! A guest that is twice as loaded as another asks for half of what the other asks for; below half
//! load nobody complains, and HAProxy's log is quiet. Load is what the switch makes of a report
//! (the application's number, or else the scarcest of CPU, I/O and memory), each report counting
//! half and those before the other half: with a per cent that falls as load rises, in inverse
//! proportion, that finds its level in one step. The obvious rule, 100 − load, is steep where it
//! matters: from 0.8 to 0.9 it halves the share, the load falls by half, and the next check gives
//! it all back. And at a full CPU it says 0, which HAProxy takes for `drain`.
//!
//! A per cent of the application's own is multiplied in; only that can make it 0.
//!
//! # `ready`
//!
//! HAProxy remembers `drain` and `maint` until somebody says `ready`; `up` does not lift them. But
//! `ready` lifts the operator's own `maint` on HAProxy's side as well. So it is said only for
//! [`READY_HOLD`] after an agent starts (an earlier life may have ended with `drain`) and after a
//! `drain` or `maint` was last said, long enough for every HAProxy to ask.
//!
//! # Clients
//!
//! A line fits the buffer of a fresh socket, so nothing is ever waited for. Our end of the stream
//! is shut behind the line, but the socket is kept for [`LINGER`]: what a client sends
//! (`agent-send`) is not read, and closing over it would reset the connection and could take the
//! line along. Of more than [`CLIENTS_MAX`] kept, the oldest is let go.

use std::collections::VecDeque;
use std::io::{ErrorKind, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::thread;
use std::time::{Duration, Instant};

use lb::AdminState;
use lb::guest::load::load_of;
use lb::guest::report::{Fraction, HealthWord, LoadReport, Share};

const READY_HOLD: Duration = Duration::from_secs(60);
const LINGER: Duration = Duration::from_secs(1);
const CLIENTS_MAX: usize = 32;
const PAUSE: Duration = Duration::from_millis(10);
/// The load up to which a guest wants its full share, in per cent.
const FULL_SHARE_LOAD: u32 = 50;

pub struct Pull {
    listener: TcpListener,
    served: VecDeque<(Instant, TcpStream)>,
    view: View,
    line: String,
}

/// What is told of a guest's reports, one after the other.
struct View {
    smoothed: Option<Fraction>,
    ready_until: Instant,
}

impl Pull {
    pub fn listen(address: SocketAddr, now: Instant) -> Result<Pull, String> {
        let failed = |error| format!("cannot listen at {address}: {error}");
        let listener = TcpListener::bind(address).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        let mut view = View::new(now);
        let up = LoadReport { health: Some(HealthWord::Up), ..LoadReport::default() };
        let line = view.line(&up, now);
        Ok(Pull { listener, served: VecDeque::new(), view, line })
    }

    /// What who asks from now on is told.
    pub fn tell(&mut self, report: &LoadReport<'_>, now: Instant) {
        self.line = self.view.line(report, now);
    }

    /// Serves who has come. What goes wrong is the client's trouble, who will ask again.
    pub fn serve(&mut self, now: Instant) {
        self.served.retain(|(since, _)| now.saturating_duration_since(*since) < LINGER);
        for _ in 0..CLIENTS_MAX {
            let mut client = match self.listener.accept() {
                Ok((client, _)) => client,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                // Out of descriptors, most likely: the clients that are kept give up theirs, and
                // the one that waits is not asked after without end.
                Err(_) => {
                    self.served.clear();
                    thread::sleep(PAUSE);
                    return;
                }
            };
            let told = client
                .set_nonblocking(true)
                .and_then(|()| client.write_all(format!("{}\n", self.line).as_bytes()))
                .and_then(|()| client.shutdown(Shutdown::Write));
            if told.is_ok() {
                self.served.push_back((now, client));
            }
            if self.served.len() > CLIENTS_MAX {
                self.served.pop_front();
            }
        }
    }

    /// When a client has to be let go.
    pub fn due(&self) -> Option<Instant> {
        self.served.front().map(|(since, _)| *since + LINGER)
    }
}

impl AsFd for Pull {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.listener.as_fd()
    }
}

impl View {
    fn new(now: Instant) -> View {
        View { smoothed: None, ready_until: now + READY_HOLD }
    }

    fn line(&mut self, report: &LoadReport<'_>, now: Instant) -> String {
        if let Some(load) = load_of(&report.numbers) {
            let before = self.smoothed.unwrap_or(load);
            let sum = u64::from(before.millionths()) + u64::from(load.millionths());
            self.smoothed = Some(Fraction::from_millionths(sum / 2));
        }
        let admin = report.admin.unwrap_or(AdminState::Ready);
        if admin != AdminState::Ready {
            self.ready_until = now + READY_HOLD;
        }
        let said = LoadReport {
            health: report.health,
            admin: report.admin.or((now < self.ready_until).then_some(admin)),
            share: share(report.share, self.smoothed),
            // HAProxy takes 0 for "without limit".
            flows_max: report.flows_max.filter(|&max| max > 0),
            reason: report.reason,
            ..LoadReport::default()
        };
        said.to_string()
    }
}

/// The per cent of a guest with this load that asks for `own`; nothing, which changes nothing at
/// HAProxy, where neither is known. For a weight HAProxy has no word, but none is none.
fn share(own: Option<Share>, load: Option<Fraction>) -> Option<Share> {
    let own = match own {
        Some(Share::Percent(percent)) => Some(u32::from(percent)),
        Some(Share::Weight(0)) => Some(0),
        Some(Share::Weight(_)) | None => None,
    };
    let load = load.map(|load| {
        let full = u64::from(FULL_SHARE_LOAD) * u64::from(Fraction::ONE.millionths());
        (full / u64::from(load.millionths()).max(1)).min(100) as u32
    });
    let percent = match (own, load) {
        (None, None) => return None,
        (Some(0), _) => 0,
        (own, load) => (own.unwrap_or(100) * load.unwrap_or(100) / 100).max(1),
    };
    Some(Share::Percent(percent as u8))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What HAProxy is told of one report in a view that has said `ready` long enough.
    fn told(line: &str) -> String {
        let start = Instant::now();
        View::new(start).line(&LoadReport::parse(line.as_bytes()).unwrap(), start + READY_HOLD)
    }

    #[test]
    fn the_per_cent_of_a_load() {
        let cases = [
            ("up", "up"),
            ("up cpu=0", "up 100%"),
            ("up cpu=0.5", "up 100%"),
            ("up cpu=0.51", "up 98%"),
            ("up cpu=0.8", "up 62%"),
            ("up cpu=1", "up 50%"),
            ("up cpu=0.8 steal=0.2", "up 50%"),
            ("up cpu=0.1 io=1", "up 50%"),
            ("up cpu=2", "up 25%"),
            ("up cpu=1 app=0.1", "up 100%"),
            ("up app=100", "up 12%"),
            ("up 50% cpu=1", "up 25%"),
            ("up 50%", "up 50%"),
            ("up 1% cpu=2", "up 1%"),
            ("up 0% cpu=0.1", "up 0%"),
            ("up weight:7 cpu=1", "up 50%"),
            ("up weight:0 cpu=1", "up 0%"),
        ];
        for (report, line) in cases {
            assert_eq!(told(report), line, "{report}");
        }
    }

    #[test]
    fn only_words_that_haproxy_knows() {
        let report = "down maint 40% maxconn:30 id=7 seq=9 svc=web app=0.1 mem=0.5 rif=3 lat=9 \
                      p99=9 qps=1 eps=1 ttl=99 #disk on fire";
        assert_eq!(told(report), "down maint 40% maxconn:30 #disk on fire");
        assert_eq!(told("fail maxconn:0"), "fail");
        assert_eq!(told("stopped ready"), "stopped ready");
    }

    #[test]
    fn half_of_a_jump_is_in_the_first_line() {
        let start = Instant::now();
        let now = start + READY_HOLD;
        let mut view = View::new(start);
        let mut told = |line: &str| view.line(&LoadReport::parse(line.as_bytes()).unwrap(), now);
        assert_eq!(told("up cpu=1"), "up 50%");
        assert_eq!(told("up cpu=2"), "up 33%");
        assert_eq!(told("up cpu=1.5"), "up 33%");
        assert_eq!(told("up"), "up 33%", "what is not measured has not changed");
    }

    #[test]
    fn ready_is_said_for_a_while_after_a_start_and_after_a_drain() {
        let start = Instant::now();
        let mut view = View::new(start);
        let mut told = |line: &str, s| {
            let report = LoadReport::parse(line.as_bytes()).unwrap();
            view.line(&report, start + Duration::from_secs(s))
        };
        assert_eq!(told("up", 0), "up ready");
        assert_eq!(told("up", 59), "up ready");
        assert_eq!(told("up", 60), "up");
        assert_eq!(told("up drain", 100), "up drain");
        assert_eq!(told("up maint", 110), "up maint");
        assert_eq!(told("up", 169), "up ready");
        assert_eq!(told("up", 170), "up");
    }
}
