//! A network namespace with nothing but loopback in it.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::process::Command;
use std::thread;

use nix::sched::{CloneFlags, setns, unshare};

/// A network namespace; it lives as long as this or a process in it.
#[derive(Debug)]
pub struct Netns {
    file: File,
}

impl Netns {
    /// Makes one, with loopback up.
    ///
    /// # Panics
    ///
    /// Without the right to make one: the tests are run as root.
    #[must_use]
    pub fn new() -> Self {
        let made = thread::spawn(|| {
            unshare(CloneFlags::CLONE_NEWNET)?;
            raise_loopback()?;
            File::open("/proc/thread-self/ns/net")
        });
        let file = made.join().unwrap_or_else(|_| panic!("the thread in the namespace panicked"));
        Self { file: file.unwrap_or_else(|why| panic!("make a network namespace: {why}")) }
    }

    /// Moves the calling thread into it; what the thread starts from now on is there too.
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn enter(&self) -> io::Result<()> {
        Ok(setns(&self.file, CloneFlags::CLONE_NEWNET)?)
    }

    /// Runs `work` on a thread inside.
    ///
    /// # Panics
    ///
    /// When `work` does, or when the namespace cannot be entered.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let inside = || {
            self.enter().unwrap_or_else(|why| panic!("enter the network namespace: {why}"));
            work()
        };
        match thread::scope(|scope| scope.spawn(inside).join()) {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
}

/// Joins two namespaces by a cable, `eth0` at both ends; each end gets its address, `IP/BITS`.
///
/// # Panics
///
/// When `ip` refuses, such as for a namespace that has a cable already.
pub fn wire(one: (&Netns, &str), other: (&Netns, &str)) {
    let there = format!("/proc/{}/fd/{}", std::process::id(), other.0.file.as_raw_fd());
    let cable = "link add eth0 type veth peer name eth0 netns";
    one.0.run(|| ip(&[cable, &there].join(" ")));
    for (netns, address) in [one, other] {
        netns.run(|| {
            ip(&format!("address add {address} dev eth0"));
            ip("link set eth0 up");
        });
    }
}

/// Joins any number of namespaces by a switch, `eth0` in each of them with its address, `IP/BITS`.
/// The switch is a namespace too; the cables end with it.
///
/// # Panics
///
/// As [`wire`].
#[must_use]
pub fn switch(ports: &[(&Netns, &str)]) -> Netns {
    let switch = Netns::new();
    switch.run(|| ip("link add br0 up type bridge"));
    for (number, (netns, address)) in ports.iter().enumerate() {
        let there = format!("/proc/{}/fd/{}", std::process::id(), netns.file.as_raw_fd());
        switch.run(|| {
            ip(&format!("link add p{number} type veth peer name eth0 netns {there}"));
            ip(&format!("link set p{number} up master br0"));
        });
        netns.run(|| {
            ip(&format!("address add {address} dev eth0"));
            ip("link set eth0 up");
        });
    }
    switch
}

fn ip(line: &str) {
    let output = Command::new("ip").args(line.split(' ')).output();
    let output = output.unwrap_or_else(|why| panic!("run ip: {why}"));
    assert!(output.status.success(), "ip {line}: {}", String::from_utf8_lossy(&output.stderr));
}

impl Default for Netns {
    fn default() -> Self {
        Self::new()
    }
}

fn raise_loopback() -> io::Result<()> {
    use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};

    let socket = socket(AddressFamily::Inet, SockType::Datagram, SockFlag::empty(), None)?;
    // SAFETY: an all-zero `ifreq` is valid, and the kernel reads no further than it goes.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(b"lo") {
        *to = from.cast_signed();
    }
    request.ifr_ifru.ifru_flags = libc::c_short::try_from(libc::IFF_UP).unwrap_or_default();
    // SAFETY: `SIOCSIFFLAGS` takes a pointer to an `ifreq`, which lives until the call is over.
    let done = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &raw const request) };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
