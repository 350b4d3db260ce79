//! Golden transcripts: `transcripts/*.txt` is what a terminal shows, byte for byte.
//!
//! A line that begins with the prompt is typed, and what follows is the answer that is expected.
//! A typed `?` is a key of its own: the line after its help goes on where it was. The first line
//! says which world the console stands in. The mark of an edited candidate is an answer, too, and may
//! be missing from a prompt that was not seen yet. `FULCRUM_BLESS=1` writes what was seen into the files;
//! read the difference before you believe it.

use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::desk::{Bench, guest_address_v6};

#[test]
fn transcripts() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts");
    let mut files: Vec<_> =
        fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    assert!(files.len() > 5, "the transcripts are there");
    let differing: Vec<_> = files.iter().filter(|file| !plays(file)).collect();
    assert!(differing.is_empty(), "differ: {differing:#?}");
}

/// Whether a session with the lines typed in a file shows what is in the file.
fn plays(file: &Path) -> bool {
    let expected = fs::read_to_string(file).unwrap();
    let (world, session) = expected.split_once('\n').expect("a first line");
    let seen = play(world, session);
    if seen == session {
        return true;
    }
    if std::env::var_os("FULCRUM_BLESS").is_some() {
        fs::write(file, format!("{world}\n{seen}")).unwrap();
    }
    let differs = session.lines().zip(seen.lines()).find(|(a, b)| a != b);
    println!("{}: expected and seen, first difference:\n{differs:#?}", file.display());
    false
}

fn play(world: &str, session: &str) -> String {
    let mut bench = enter(world);
    bench.console.greet(&bench.control);
    let mut seen = String::new();
    show(&mut seen, &bench.type_in(b""));
    for line in session.lines() {
        // The terminal's last line is the prompt, and perhaps what a `?` has left after it.
        let open = seen.rsplit('\n').next().unwrap_or_default().to_string();
        let prompt = open.find(['>', '#']).map_or("", |at| &open[..at + 2]);
        let (line, prompt) = (unmarked(line), unmarked(prompt));
        let Some(typed) = line.strip_prefix(&prompt).filter(|_| !prompt.is_empty()) else {
            continue;
        };
        let end = if typed.ends_with('?') && !typed.contains('#') { "" } else { "\r" };
        const ERASE_LINE: char = '\x15';
        show(&mut seen, &bench.type_in(format!("{ERASE_LINE}{typed}{end}").as_bytes()));
    }
    // The prompt after the last answer has no line end in a file.
    seen.truncate(seen.rfind('\n').map_or(0, |at| at + 1));
    seen
}

fn unmarked(line: &str) -> String {
    line.replacen("(config*)# ", "(config)# ", 1)
}

/// Puts on the screen what a terminal was told to show. A carriage return alone begins the
/// drawing of a row anew.
fn show(screen: &mut String, told: &str) {
    const ERASE_TO_END: &str = "\x1b[K";
    for c in told.replace("\r\n", "\n").replace(ERASE_TO_END, "").chars() {
        match c {
            '\r' => screen.truncate(screen.rfind('\n').map_or(0, |at| at + 1)),
            '\x07' => {}
            _ => screen.push(c),
        }
    }
}

fn enter(world: &str) -> Bench {
    let mut bench = Bench::new(4);
    match world {
        "# world: four NICs, no configuration" => {}
        "# world: three guests that serve the web" => serve(&mut bench),
        "# world: three guests that answer questions over IPv6" => answer(&mut bench),
        other => panic!("there is no world {other:?}"),
    }
    bench
}

/// Three guests answer a service; twelve clients have called, and two guests report.
fn serve(bench: &mut Bench) {
    bench.configure(
        "set system hostname edge1\n\
         set guest web1 port p1 mac 52:54:00:01:00:01 address 10.0.2.21\n\
         set guest web2 port p2 mac 52:54:00:01:00:02 address 10.0.2.22 address fd00::22\n\
         set guest web3 port p3 mac 52:54:00:01:00:03 address 10.0.2.23\n\
         set service web vip 10.0.2.100 tcp 80\n\
         set service web scheduler wll\n\
         set service web real web1\n\
         set service web real web2 port 8080 weight 200\n\
         set service web real web3 max-flows 100\n",
    );
    bench.run(Duration::from_secs(2));
    bench.report(1, "up id=1 seq=1 cpu=0.42 app=0.61 rif=37");
    bench.report(2, "up 50% id=2 seq=1 cpu=0.05 #nightly backup");
    for client_port in 0..12 {
        bench.call(40_000 + client_port);
    }
}

/// Three guests serve a VIP of IPv6, one of them an IPv4 one too; then one falls silent, by its
/// IPv6 address.
fn answer(bench: &mut Bench) {
    bench.configure(
        "set guest dns1 port p1 mac 52:54:00:01:00:01 address 10.0.2.21 address fd00::21\n\
         set guest dns2 port p2 mac 52:54:00:01:00:02 address fd00::22\n\
         set guest dns3 port p3 mac 52:54:00:01:00:03 address fd00::23\n\
         set service dns vip 2001:db8::53 udp 53\n\
         set service dns scheduler rr\n\
         set service dns persistence source 128 timeout 300s\n\
         set service dns idle 30s\n\
         set service dns max-flows 3\n\
         set service dns empty sorry dns3\n\
         set service dns real dns1\n\
         set service dns real dns2\n\
         set service web vip 10.0.2.100 tcp 80\n\
         set service web real dns1\n",
    );
    bench.run(Duration::from_secs(2));
    (0..5).for_each(|at| bench.ask(5300 + at));
    bench.silent.push(guest_address_v6(1).into());
    bench.run(Duration::from_secs(2));
}
