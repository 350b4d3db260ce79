//! A configuration disk: a file that is made and removed with the value that owns it, and that the
//! store itself can read and write while no machine has it.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::process::Command;

use drivers::Request;
use drivers::disk::BLOCK_BYTES;
use kernel::store::{Commit, DISK_BYTES_MIN, Found, Opening, State, Task};

use crate::machine::{image_path, temporary_path};

pub struct DiskFile {
    pub path: PathBuf,
}

impl DiskFile {
    /// All zeros, as small as it may be.
    pub fn blank() -> DiskFile {
        DiskFile::of_bytes(DISK_BYTES_MIN)
    }

    pub fn of_bytes(bytes: u64) -> DiskFile {
        let path = temporary_path();
        let file = File::create_new(&path).expect("the temporary directory takes files");
        file.set_len(bytes).expect("a sparse file takes no room");
        DiskFile { path }
    }

    /// A disk that boots the image under test and hands this configuration over, as
    /// `./run-qemu.sh disk-image` makes it.
    #[track_caller]
    pub fn bootable(configuration: &str) -> DiskFile {
        let (image, text) = (temporary_path(), temporary_path());
        fs::copy(image_path(), &image).expect("the temporary directory takes files");
        fs::write(&text, configuration).expect("the temporary directory takes files");
        let mut script = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../run-qemu.sh"));
        script.arg("disk-image").arg("--image").arg(&image).arg("--configuration").arg(&text);
        let made = script.output().expect("the script can be run");
        let (path, remarks) =
            (String::from_utf8_lossy(&made.stdout), String::from_utf8_lossy(&made.stderr));
        for file in [&image, &text] {
            fs::remove_file(file).expect("a file of ours");
        }
        assert!(made.status.success(), "{script:?}: {remarks}");
        DiskFile { path: path.trim_end().into() }
    }

    /// With these configurations committed, the oldest first.
    pub fn with(texts: &[&str]) -> DiskFile {
        let disk = DiskFile::blank();
        for (generation, text) in (1..).zip(texts) {
            disk.commit_for("", generation, text);
        }
        disk
    }

    /// Commits one more, as a machine on this host would.
    pub fn commit_for(&self, host: &str, generation: u64, text: &str) {
        let (mut state, _) = self.open();
        let commit =
            Commit { generation, text: text.to_string(), comment: String::new(), time: None };
        let mut saving = state.save(&commit, host).expect("a slot takes it");
        self.work(&mut saving);
        state.saved(&saving);
    }

    /// What a start would find.
    pub fn found(&self) -> Found {
        self.open().1
    }

    /// Writes some bytes, wherever.
    pub fn write(&self, at: u64, bytes: &[u8]) {
        self.file().write_all_at(bytes, at).expect("a file of ours");
    }

    /// The first bytes of the slot with this number.
    pub fn slot_at(slot: u64) -> u64 {
        (1 + 100 * slot) * BLOCK_BYTES as u64
    }

    pub fn bytes(&self) -> Vec<u8> {
        fs::read(&self.path).expect("a file of ours")
    }

    fn open(&self) -> (State, Found) {
        let bytes = self.file().metadata().expect("a file of ours").len();
        let mut opening = Opening::new(bytes / BLOCK_BYTES as u64).expect("it is large enough");
        self.work(&mut opening);
        opening.finish("").expect("a disk of ours, or a blank one")
    }

    fn work(&self, task: &mut dyn Task) {
        let file = self.file();
        while let Some(request) = task.next() {
            let mut read = Vec::new();
            match request {
                Request::Read { block, blocks } => {
                    read.resize(blocks * BLOCK_BYTES, 0);
                    file.read_exact_at(&mut read, block * BLOCK_BYTES as u64).expect("in the file");
                }
                Request::Write { block, bytes } => {
                    file.write_all_at(bytes, block * BLOCK_BYTES as u64).expect("in the file");
                }
                Request::Flush => file.sync_data().expect("a file of ours"),
            }
            task.done(&read);
        }
    }

    fn file(&self) -> File {
        File::options().read(true).write(true).open(&self.path).expect("a file of ours")
    }
}

impl Drop for DiskFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}
