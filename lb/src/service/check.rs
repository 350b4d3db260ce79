//! Checks: what shall be asked of a real besides whether its guest is there.
//!
//! A [`Check`] is the rule; one try of it is a probe. A check that fails `fall` times in a row
//! takes the real out, and `rise` successes in a row bring it back ([`watch`]). How probes are made
//! is in [`crate::service::probe`].

pub(crate) mod http;
pub mod watch;

use core::num::{NonZeroU8, NonZeroU16};
use core::ops::RangeInclusive;
use core::time::Duration;

pub use watch::{Failure, Watch};

/// The path that is asked for, as it stands in the request.
pub type Path = heapless::String<{ Check::PATH_BYTES_MAX }>;
/// A text that an answer must hold.
pub type Needle = heapless::String<{ Check::NEEDLE_BYTES_MAX }>;

/// What is asked of a real, how often, and what is made of the answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    pub kind: CheckKind,
    /// Where the real is asked, if not at its own port; of no meaning to `icmp` and `neighbor`.
    pub port: Option<NonZeroU16>,
    pub interval: Duration,
    /// A probe that has had no good answer by then has failed; at most the interval.
    pub timeout: Duration,
    pub rise: NonZeroU8,
    pub fall: NonZeroU8,
}

/// What counts as an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CheckKind {
    /// A connection can be made; it is reset at once.
    Tcp,
    /// `GET` of HTTP/1.1 (RFC 9112) has the expected answer.
    Http { path: Path, expect: Expect },
    /// An echo is answered.
    Icmp,
    /// No answer, or any: what fails is a "port unreachable".
    Udp,
    /// The guest answers for its address (ARP or ND), slower or faster than every guest is asked.
    Neighbor,
}

/// What an HTTP answer must be like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expect {
    Status(RangeInclusive<u16>),
    /// This text in the body, as far as that lies within the first [`Check::ANSWER_BYTES_MAX`] bytes
    /// of the answer; the status is 200 to 399.
    Text(Needle),
}

/// How reports of load come to the switch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Agent {
    /// The guest sends them.
    #[default]
    Push,
    /// They are fetched from the guest by TCP, a line each time, as HAProxy's `agent-check` does.
    Pull { port: NonZeroU16, interval: Duration },
}

impl Check {
    pub const PATH_BYTES_MAX: usize = 128;
    pub const NEEDLE_BYTES_MAX: usize = 32;
    /// Of an answer so much is read.
    pub const ANSWER_BYTES_MAX: usize = 2048;
    pub const INTERVAL_DEFAULT: Duration = Duration::from_secs(2);
    pub const TIMEOUT_DEFAULT: Duration = Duration::from_secs(1);
    pub const RISE_DEFAULT: NonZeroU8 = NonZeroU8::new(2).unwrap();
    pub const FALL_DEFAULT: NonZeroU8 = NonZeroU8::new(3).unwrap();

    /// A check as it is when nothing more is said of it.
    pub fn new(kind: CheckKind) -> Check {
        Check {
            kind,
            port: None,
            interval: Self::INTERVAL_DEFAULT,
            timeout: Self::TIMEOUT_DEFAULT,
            rise: Self::RISE_DEFAULT,
            fall: Self::FALL_DEFAULT,
        }
    }
}

impl Expect {
    /// What browsers take for an answer.
    pub const DEFAULT: Expect = Expect::Status(Self::TEXT_STATUSES);
    pub(crate) const TEXT_STATUSES: RangeInclusive<u16> = 200..=399;
}
