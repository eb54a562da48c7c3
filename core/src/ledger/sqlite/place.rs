//! Where a ledger may lie: on a disk of this machine. SQLite's log is shared through memory that processes map, which no
//! network file system keeps in step between machines.

use std::path::Path;

use super::faults::refused;
use crate::error::Result;

/// Network file systems by the number that `statfs` tells (`linux/magic.h`, and the makers' own sources for those that are
/// not part of Linux).
const NETWORK: &[(u32, &str)] = &[
    (0x0000_6969, "NFS"),
    (0x0000_517b, "SMB"),
    (0xff53_4d42, "CIFS"),
    (0xfe53_4d42, "SMB2"),
    (0x0000_564c, "NCP"),
    (0x5346_414f, "AFS"),
    (0x6b41_4653, "AFS"),
    (0x7375_7245, "Coda"),
    (0x0102_1997, "9P"),
    (0x00c3_6400, "Ceph"),
    (0x0bd0_0bd0, "Lustre"),
    (0x4750_4653, "GPFS"),
    (0x0116_1970, "GFS2"),
    (0x7461_636f, "OCFS2"),
    (0x1983_0326, "BeeGFS"),
    (0xaad7_aaea, "PanFS"),
    (0x2003_0528, "OrangeFS"),
    (0x786f_4256, "a folder shared by VirtualBox"),
    (0xbacb_acbc, "a folder shared by VMware"),
];

/// What `statfs` tells of every file system that a program provides; which one it is stands in the table of mounts.
const FUSE: u32 = 0x6573_5546;

/// Programs that provide files of other machines, as the table of mounts names them after `fuse.`.
const NETWORK_FUSE: &[&str] = &[
    "afp",
    "afpfs",
    "blobfuse",
    "blobfuse2",
    "ceph",
    "ceph-fuse",
    "cernvm",
    "curlftpfs",
    "cvmfs2",
    "davfs",
    "davfs2",
    "fuse_dfs",
    "fuse-nfs",
    "gcsfuse",
    "geesefs",
    "gfs",
    "glusterfs",
    "goofys",
    "google-drive-ocamlfuse",
    "gvfsd-fuse",
    "hdfs",
    "hubicfuse",
    "jindo-fuse",
    "juicefs",
    "JuiceFS",
    "kio-fuse",
    "mfs",
    "moosefs",
    "mount-s3",
    "mountpoint-s3",
    "onedriver",
    "orangefs",
    "ossfs",
    "rclone",
    "riofs",
    "s3backer",
    "s3fs",
    "s3ql",
    "seaweedfs",
    "smbnetfs",
    "sshfs",
    "weed",
    "wdfs",
    "xrootdfs",
    "yas3fs",
];

/// The network file system that a number of `statfs` stands for.
fn network(magic: u32) -> Option<&'static str> {
    NETWORK.iter().find(|(number, _)| *number == magic).map(|(_, name)| *name)
}

/// The program of other machines' files behind a FUSE mount of this device (`major:minor`), as the text of
/// `/proc/self/mountinfo` tells.
fn network_fuse<'a>(mounts: &'a str, device: &str) -> Option<&'a str> {
    // The latest mount of a device is the one that is seen.
    let (kind, source) = mounts.lines().rev().find_map(|line| {
        let (mount, shown) = line.split_once(" - ")?;
        let (kind, rest) = shown.split_once(' ')?;
        (mount.split(' ').nth(2)? == device).then(|| (kind, rest.split(' ').next().unwrap_or_default()))
    })?;
    match kind.strip_prefix("fuse.") {
        Some(program) => NETWORK_FUSE.contains(&program).then_some(program),
        // A program that does not say which it is: its source may be an address.
        None => source.contains("://").then_some(source),
    }
}

/// Refuses a folder on a network file system. Where the kind of file system cannot be told, nothing is refused.
#[cfg(target_os = "linux")]
pub(super) fn check(folder: &Path) -> Result<()> {
    let Ok(found) = rustix::fs::statfs(folder) else { return Ok(()) };
    // The width of this number differs between machines; its values fit 32 bits.
    let magic = found.f_type as u32;
    let kind = match network(magic) {
        None if magic == FUSE => {
            let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
            let device = rustix::fs::stat(folder).map(|stat| stat.st_dev).unwrap_or_default();
            let device = format!("{}:{}", rustix::fs::major(device), rustix::fs::minor(device));
            network_fuse(&mounts, &device).map(|program| format!("FUSE ({program})"))
        }
        known => known.map(str::to_owned),
    };
    match kind {
        None => Ok(()),
        Some(kind) => Err(refused(
            folder,
            format!(
                "it lies on a network file system, {kind}, where several machines would damage it; name a file on a disk of this machine"
            ),
        )),
    }
}

/// Other systems do not tell in a way that is known here.
#[cfg(not(target_os = "linux"))]
pub(super) fn check(_: &Path) -> Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn network_file_systems_are_known_by_their_number() {
        for (magic, name) in [(0x6969, Some("NFS")), (0xff53_4d42, Some("CIFS")), (0xfe53_4d42, Some("SMB2"))] {
            assert_eq!(network(magic), name);
        }
        // ext4, tmpfs, xfs, btrfs, overlayfs, zfs, f2fs.
        for local in [0xef53, 0x0102_1994, 0x5846_5342, 0x9123_683e, 0x794c_7630, 0x2fc1_2fc1, 0xf2f5_2010, FUSE] {
            assert_eq!(network(local), None, "{local:x}");
        }
        let numbers: std::collections::BTreeSet<_> = NETWORK.iter().map(|(number, _)| number).collect();
        assert_eq!(numbers.len(), NETWORK.len());
    }

    #[test]
    fn of_the_programs_behind_fuse_those_of_other_machines_are_refused() {
        let mounts = "22 27 0:21 / /proc rw,relatime - proc proc rw\n\
            36 27 0:45 / /mnt/a rw,nosuid - fuse.sshfs me@there:/home rw,user_id=0\n\
            37 27 0:46 / /mnt/b rw shared:1 - fuse.mergerfs a:b rw\n\
            38 27 0:47 / /mnt/c rw - fuse https://dav.example/files rw\n\
            39 27 0:48 / /mnt/d rw - fuse /dev/sdb1 rw\n\
            40 27 0:49 / /mnt/e rw - fuse.rclone one: rw\n\
            41 27 0:49 / /mnt/e rw - fuse.ntfs-3g /dev/sdc1 rw\n";
        assert_eq!(network_fuse(mounts, "0:45"), Some("sshfs"));
        assert_eq!(network_fuse(mounts, "0:46"), None);
        assert_eq!(network_fuse(mounts, "0:47"), Some("https://dav.example/files"));
        assert_eq!(network_fuse(mounts, "0:48"), None);
        assert_eq!(network_fuse(mounts, "0:49"), None, "the latest mount counts");
        assert_eq!(network_fuse(mounts, "9:99"), None);
    }

    #[test]
    fn a_local_folder_is_taken() {
        let folder = tempfile::tempdir().unwrap();
        check(folder.path()).unwrap();
    }
}
