//! A network namespace, which goes with the value that owns it, and programs in it, which go with
//! theirs.

use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

pub struct Space {
    pub name: String,
}

/// A program that serves until it is dropped.
pub struct Server(Child);

impl Space {
    pub fn new() -> Result<Space, String> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let space = Space { name: format!("fulcrum-{}-bench{number}", std::process::id()) };
        run(Command::new("ip").args(["netns", "add", &space.name]))?;
        space.ip("link set lo up")?;
        Ok(space)
    }

    /// `ip` with these words, as of this namespace.
    pub fn ip(&self, words: &str) -> Result<String, String> {
        run(Command::new("ip").args(["-n", &self.name]).args(words.split(' ')))
    }

    /// What a program says, if it ends well.
    pub fn run(&self, words: &[&str]) -> Result<String, String> {
        run(&mut self.command(words))
    }

    pub fn serve(&self, words: &[&str]) -> Result<Server, String> {
        let mut command = self.command(words);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().map(Server).map_err(|error| format!("{words:?}: {error}"))
    }

    /// It dies with us.
    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--", "ip", "netns", "exec", &self.name]);
        command.args(words);
        command
    }
}

impl Drop for Space {
    fn drop(&mut self) {
        let _ = run(Command::new("ip").args(["netns", "delete", &self.name]));
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn run(command: &mut Command) -> Result<String, String> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    let [said, complained] =
        [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    if output.status.success() { Ok(said) } else { Err(format!("{command:?}: {complained}{said}")) }
}
