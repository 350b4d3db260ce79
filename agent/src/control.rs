//! How `fulcrum-agent drain` reaches the agent that runs already.
//!
//! Every report is the whole state, so two agents would contradict each other twice a second. The
//! one that runs therefore does the draining, and the command asks it to, by a line in a datagram
//! to its control socket:
//!
//! ```text
//! drain      ack seq=7 state=drain weight=0 flows=3 new=0 ended=9
//! undrain    ok
//! ```
//!
//! The answer to `drain` is what the switch last answered to a report that asked for it, `wait`
//! before there is one. Asking again changes nothing, so asking is also how to watch.
//!
//! The socket is for root and the agent's own user: it takes a guest out of service.

use std::io::ErrorKind;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::Path;
use std::time::{Duration, Instant};

use lb::limits::REPORT_BYTES_MAX;

use crate::reporter::Want;
use crate::socket_file::{Senders, SocketFile};

pub const PATH: &str = "/run/fulcrum-agent/control";

/// The running agent's end.
pub struct Control {
    pub socket: SocketFile,
}

/// The command's end.
pub struct Client {
    socket: UnixDatagram,
}

impl Control {
    pub fn bind(path: &Path) -> Result<Control, String> {
        if let Some(directory) = path.parent() {
            std::fs::create_dir_all(directory)
                .map_err(|error| format!("no directory {}: {error}", directory.display()))?;
        }
        Ok(Control { socket: SocketFile::bind(path, Senders::User)? })
    }

    /// The next request that has come and who wants an answer; what is no request is refused.
    pub fn request(&self) -> Option<(Want, SocketAddr)> {
        let mut datagram = [0; 16];
        loop {
            let (len, sender) = self.socket.receive(&mut datagram)?;
            match datagram[..len].trim_ascii_end() {
                b"drain" => return Some((Want::Drain, sender)),
                b"undrain" => return Some((Want::Serve, sender)),
                _ => self.socket.answer(&sender, "nak expected: drain undrain"),
            }
        }
    }
}

impl Client {
    /// Reaches the agent that runs, if one does.
    pub fn find(path: &Path) -> Result<Option<Client>, String> {
        let failed =
            |error| format!("cannot reach the running agent at {}: {error}", path.display());
        // A name without a file, for the answers; as they come from a socket that this one is
        // connected to, nobody else can send any.
        let name = SocketAddr::from_abstract_name(format!("fulcrum-agent.{}", std::process::id()));
        let socket = name.and_then(|name| UnixDatagram::bind_addr(&name)).map_err(failed)?;
        match socket.connect(path) {
            Ok(()) => Ok(Some(Client { socket })),
            Err(error) => match error.kind() {
                ErrorKind::NotFound | ErrorKind::ConnectionRefused => Ok(None),
                _ => Err(failed(error)),
            },
        }
    }

    /// Asks, and gives the answer if there is one before `due`.
    pub fn ask(&self, want: Want, due: Instant) -> Option<String> {
        let request = match want {
            Want::Drain => "drain\n",
            Want::Serve => "undrain\n",
        };
        let left = || Some(due.saturating_duration_since(Instant::now()).max(INSTANT));
        self.socket.set_write_timeout(left()).ok()?;
        self.socket.send(request.as_bytes()).ok()?;
        self.socket.set_read_timeout(left()).ok()?;
        let mut answer = [0; REPORT_BYTES_MAX];
        let len = self.socket.recv(&mut answer).ok()?;
        Some(String::from_utf8_lossy(&answer[..len]).trim_end().to_owned())
    }
}

/// The shortest wait: a socket takes none at all for waiting without end.
const INSTANT: Duration = Duration::from_millis(1);

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    #[test]
    fn a_command_and_the_agent_that_runs() {
        let path = std::env::temp_dir().join(format!("fulcrum-control.{}", std::process::id()));
        assert!(Client::find(&path).unwrap().is_none(), "nobody is there");
        let control = Control::bind(&path).unwrap();
        let client = Client::find(&path).unwrap().expect("somebody is there");

        let stranger = UnixDatagram::unbound().unwrap();
        stranger.send_to(b"drain everything now", &path).unwrap();
        stranger.send_to(b"undrain", &path).unwrap();
        assert_eq!(control.request().map(|(want, _)| want), Some(Want::Serve));
        assert!(control.request().is_none());

        let soon = Instant::now() + Duration::from_millis(5);
        assert_eq!(client.ask(Want::Drain, soon), None, "an agent that hangs");
        let (want, sender) = control.request().unwrap();
        assert_eq!(want, Want::Drain);
        control.socket.answer(&sender, "wait");

        let asked = thread::spawn(move || {
            let due = Instant::now() + Duration::from_secs(10);
            client.ask(Want::Serve, due)
        });
        assert_eq!(asked.join().unwrap().as_deref(), Some("wait"), "an answer may come late");
        drop(control);
        assert!(Client::find(&path).unwrap().is_none() && !path.exists());
    }
}
