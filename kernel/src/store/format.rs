//! What is in a superblock and in a slot, byte by byte; all numbers are little-endian.
//!
//! ```text
//!  superblock   0 "FULCRUMd"  8 version  12 checksum  16 generation  24 slot                → 32
//!  slot         0 "FULCRUMs"  8 version  12 checksum  16 generation  24 time (0: not known)
//!              32 bytes of text, of comment, of host (4, 2, 2)  40 comment  360 host        → 424
//!             424 text
//! ```
//!
//! The checksum is zlib's CRC-32 of a superblock's 32 bytes, or of a slot's head and text, with its own
//! four bytes as zeros. Magic, version, checksum and generation stay where they are in every version
//! to come, so that an older appliance knows a newer slot and its age.

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use crc::{CRC_32_ISO_HDLC, Crc};
use drivers::disk::BLOCK_BYTES;

use super::{Commit, Damage, SLOT_BLOCKS, SLOTS};

/// The version that is written, and the newest that is understood.
pub const VERSION: u32 = 1;

pub const COMMENT_BYTES_MAX: usize = 320;
pub const HOST_BYTES_MAX: usize = 64;
/// The longest text that a slot holds. A configuration that fills every table has about 200 KiB.
pub const TEXT_BYTES_MAX: usize = SLOT_BLOCKS as usize * BLOCK_BYTES - HEAD_BYTES;

const SUPERBLOCK_MAGIC: &[u8; 8] = b"FULCRUMd";
const SLOT_MAGIC: &[u8; 8] = b"FULCRUMs";
const SUPERBLOCK_BYTES: usize = 32;
const COMMENT_AT: usize = 40;
const HOST_AT: usize = COMMENT_AT + COMMENT_BYTES_MAX;
const HEAD_BYTES: usize = HOST_AT + HOST_BYTES_MAX;
/// Generations are counted one by one, so nobody ever gets there.
const GENERATION_MAX: u64 = 1 << 48;

static CRC: Crc<u32> = Crc::<u32>::new(&CRC_32_ISO_HDLC);

/// The commit that counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Superblock {
    /// 0 before the first commit.
    pub generation: u64,
    pub slot: usize,
}

/// What a slot's first block says; of its text nothing is known yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    pub generation: u64,
    pub time: Option<u64>,
    pub text_bytes: usize,
    pub comment: String,
    pub host: String,
}

/// What the beginning of a superblock or a slot may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Read<T> {
    /// Zeros.
    Blank,
    Whole(T),
    Damaged,
    Newer {
        version: u32,
        generation: u64,
    },
}

impl Superblock {
    /// Before the first commit.
    pub const FIRST: Superblock = Superblock { generation: 0, slot: 0 };

    pub fn encode(&self) -> [u8; BLOCK_BYTES] {
        let mut block = [0; BLOCK_BYTES];
        block[..8].copy_from_slice(SUPERBLOCK_MAGIC);
        block[8..12].copy_from_slice(&VERSION.to_le_bytes());
        block[16..24].copy_from_slice(&self.generation.to_le_bytes());
        block[24..32].copy_from_slice(&(self.slot as u64).to_le_bytes());
        let checksum = checksum(&block[..SUPERBLOCK_BYTES], &[]);
        block[12..16].copy_from_slice(&checksum.to_le_bytes());
        block
    }

    pub fn decode(block: &[u8; BLOCK_BYTES]) -> Read<Superblock> {
        let (generation, slot) = (u64_at(block, 16), u64_at(block, 24));
        if !block.starts_with(SUPERBLOCK_MAGIC) {
            return blank_or_damaged(block);
        }
        let version = u32_at(block, 8);
        if version > VERSION {
            return Read::Newer { version, generation };
        }
        let is_sound = version == VERSION
            && checksum(&block[..SUPERBLOCK_BYTES], &[]) == u32_at(block, 12)
            && generation <= GENERATION_MAX
            && slot < SLOTS as u64;
        if !is_sound {
            return Read::Damaged;
        }
        Read::Whole(Superblock { generation, slot: slot as usize })
    }
}

impl Head {
    pub fn decode(block: &[u8; BLOCK_BYTES]) -> Read<Head> {
        if !block.starts_with(SLOT_MAGIC) {
            return blank_or_damaged(block);
        }
        let (version, generation) = (u32_at(block, 8), u64_at(block, 16));
        if generation > GENERATION_MAX {
            return Read::Damaged;
        }
        if version > VERSION {
            return Read::Newer { version, generation };
        }
        let (comment_bytes, host_bytes) = (u16_at(block, 36), u16_at(block, 38));
        let head = (|| {
            Some(Head {
                generation,
                time: Some(u64_at(block, 24)).filter(|&time| time != 0),
                text_bytes: Some(u32_at(block, 32) as usize).filter(|&n| n <= TEXT_BYTES_MAX)?,
                comment: text_at(&block[COMMENT_AT..HOST_AT], comment_bytes)?,
                host: text_at(&block[HOST_AT..HEAD_BYTES], host_bytes)?,
            })
        })();
        match head {
            Some(head) if version == VERSION => Read::Whole(head),
            _ => Read::Damaged,
        }
    }

    /// Blocks that head and text take.
    pub fn blocks(&self) -> usize {
        (HEAD_BYTES + self.text_bytes).div_ceil(BLOCK_BYTES)
    }

    /// The text, out of all of these blocks, if the checksum says so.
    pub fn text(&self, bytes: &[u8]) -> Result<String, Damage> {
        let whole = bytes.get(..HEAD_BYTES + self.text_bytes).ok_or(Damage::Checksum)?;
        let (head, text) = whole.split_at(HEAD_BYTES);
        if checksum(head, text) != u32_at(head, 12) {
            return Err(Damage::Checksum);
        }
        String::from_utf8(text.to_vec()).map_err(|_| Damage::Checksum)
    }
}

/// A slot's bytes: whole blocks. Comment and host are cut to what there is room for.
///
/// # Panics
/// With a text longer than [`TEXT_BYTES_MAX`].
pub fn encode_slot(commit: &Commit, generation: u64, host: &str) -> Vec<u8> {
    let comment = cut(&commit.comment, COMMENT_BYTES_MAX);
    let host = cut(host, HOST_BYTES_MAX);
    let text = commit.text.as_bytes();
    assert!(text.len() <= TEXT_BYTES_MAX);
    let mut bytes = vec![0; (HEAD_BYTES + text.len()).next_multiple_of(BLOCK_BYTES)];
    bytes[..8].copy_from_slice(SLOT_MAGIC);
    bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
    bytes[16..24].copy_from_slice(&generation.to_le_bytes());
    bytes[24..32].copy_from_slice(&commit.time.unwrap_or(0).to_le_bytes());
    bytes[32..36].copy_from_slice(&(text.len() as u32).to_le_bytes());
    bytes[36..38].copy_from_slice(&(comment.len() as u16).to_le_bytes());
    bytes[38..40].copy_from_slice(&(host.len() as u16).to_le_bytes());
    bytes[COMMENT_AT..][..comment.len()].copy_from_slice(comment.as_bytes());
    bytes[HOST_AT..][..host.len()].copy_from_slice(host.as_bytes());
    bytes[HEAD_BYTES..][..text.len()].copy_from_slice(text);
    let checksum = checksum(&bytes[..HEAD_BYTES], text);
    bytes[12..16].copy_from_slice(&checksum.to_le_bytes());
    bytes
}

/// Whether a block at the place of the first superblock may be one that was torn when a blank disk
/// was given it: every byte is either old or new.
pub fn is_torn_first(block: &[u8]) -> bool {
    let first = Superblock::FIRST.encode();
    block.iter().zip(first).all(|(&byte, new)| byte == 0 || byte == new)
}

/// Of a head with its own checksum in it.
fn checksum(head: &[u8], text: &[u8]) -> u32 {
    let mut digest = CRC.digest();
    digest.update(&head[..12]);
    digest.update(&[0; 4]);
    digest.update(&head[16..]);
    digest.update(text);
    digest.finalize()
}

fn blank_or_damaged<T>(block: &[u8]) -> Read<T> {
    if block.iter().all(|&byte| byte == 0) { Read::Blank } else { Read::Damaged }
}

fn text_at(field: &[u8], len: u16) -> Option<String> {
    let bytes = field.get(..usize::from(len))?;
    core::str::from_utf8(bytes).ok().map(ToOwned::to_owned)
}

/// The beginning of a text, whole characters of it.
fn cut(text: &str, bytes_max: usize) -> &str {
    &text[..text.floor_char_boundary(bytes_max)]
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(core::array::from_fn(|offset| bytes[at + offset]))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(core::array::from_fn(|offset| bytes[at + offset]))
}
