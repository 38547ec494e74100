//! One job of a trial: started in a session of its own, watched, and cleared away.

use crate::{rank, session::Session};
use std::{
    collections::BTreeSet,
    ffi::OsStr,
    fs::{self, File},
    os::unix::process::{CommandExt, ExitStatusExt},
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

/// Far longer than any job takes: only a hang gets there.
const LIMIT: Duration = Duration::from_secs(60);
/// So long after the job's end its last processes may need.
const VANISHING: Duration = Duration::from_secs(20);

/// `mpiexec` as it was built with this test.
pub(crate) const MPIEXEC: &str = env!("CARGO_BIN_EXE_mpiexec");

/// This program, which is also the rank.
pub(crate) fn itself() -> PathBuf {
    std::env::current_exe().unwrap()
}

/// A job to start.
pub(crate) struct Job {
    command: Command,
    directory: Directory,
    limit: Duration,
    shared_memory: BTreeSet<String>,
}

/// A job that runs. Dropping it kills what is left of it.
pub(crate) struct Running {
    child: Child,
    session: Session,
    directory: Directory,
    started: Instant,
    limit: Duration,
    shared_memory: BTreeSet<String>,
}

/// How a job ended.
#[derive(Debug)]
pub(crate) struct Ended {
    status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) took: Duration,
}

impl Job {
    /// Any program.
    pub(crate) fn new(program: impl AsRef<OsStr>) -> Self {
        let directory = Directory::new();
        let mut command = Command::new(program);
        command
            .stdin(Stdio::null())
            .stdout(directory.create("stdout"))
            .stderr(directory.create("stderr"))
            .env("TMPDIR", directory.temporary())
            .env("MPIEXEC", MPIEXEC)
            .env("ITSELF", itself());
        // SAFETY: setsid is async-signal-safe.
        unsafe { command.pre_exec(|| Ok(nix::unistd::setsid().map(drop)?)) };
        Self { command, directory, limit: LIMIT, shared_memory: shared_memory() }
    }

    /// `mpiexec -n RANKS` and more arguments.
    pub(crate) fn mpiexec(ranks: usize, arguments: &[&str]) -> Self {
        Self::new(MPIEXEC).args(&["-n", &ranks.to_string()]).args(arguments)
    }

    /// `mpiexec` with this program as the ranks, which run a body.
    pub(crate) fn of_body(body: &str, ranks: usize) -> Self {
        let program = itself();
        Self::mpiexec(ranks, &[program.to_str().unwrap()]).env(rank::BODY, body)
    }

    /// A shell's command; `$MPIEXEC` and `$ITSELF` are the programs.
    pub(crate) fn shell(script: &str) -> Self {
        Self::new("sh").args(&["-c", script])
    }

    pub(crate) fn args(mut self, arguments: &[&str]) -> Self {
        self.command.args(arguments);
        self
    }

    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    pub(crate) fn stdin(mut self, input: impl Into<Stdio>) -> Self {
        self.command.stdin(input);
        self
    }

    pub(crate) fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    pub(crate) fn start(mut self) -> Running {
        let child = self.command.spawn().unwrap();
        Running {
            session: Session(i32::try_from(child.id()).unwrap()),
            child,
            directory: self.directory,
            started: Instant::now(),
            limit: self.limit,
            shared_memory: self.shared_memory,
        }
    }

    /// Runs it to its end, after which nothing is left.
    pub(crate) fn run(self) -> Ended {
        self.start().wait()
    }
}

impl Running {
    pub(crate) fn session(&self) -> Session {
        self.session
    }

    /// The number of the process that was started.
    pub(crate) fn pid(&self) -> i32 {
        self.session.0
    }

    /// What has been printed so far.
    pub(crate) fn stdout(&self) -> String {
        self.directory.read("stdout")
    }

    /// Waits for the end of the job, and makes sure that nothing is left of it.
    pub(crate) fn wait(mut self) -> Ended {
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            if self.started.elapsed() > self.limit {
                self.give_up("still runs", self.limit);
            }
            std::thread::sleep(Duration::from_millis(3));
        };
        let took = self.started.elapsed();
        self.expect_nothing_left();
        Ended { status, stdout: self.directory.read("stdout"), stderr: self.directory.read("stderr"), took }
    }

    fn expect_nothing_left(&self) {
        let end = Instant::now() + VANISHING;
        while !self.session.processes().is_empty() {
            if Instant::now() > end {
                self.give_up("has ended, but not all of its processes have", VANISHING);
            }
            std::thread::sleep(Duration::from_millis(3));
        }
        let files = self.directory.temporary_files();
        assert!(files.is_empty(), "files were left: {files:?}");
        for name in shared_memory().difference(&self.shared_memory) {
            while shared_memory().contains(name) && !is_in_use(name) {
                assert!(Instant::now() < end, "shared memory was left: {name}");
                std::thread::sleep(Duration::from_millis(50));
            }
        }
    }

    fn give_up(&self, what: &str, after: Duration) -> ! {
        let (processes, stdout, stderr) =
            (self.session.describe(), self.directory.read("stdout"), self.directory.read("stderr"));
        panic!("after {after:?} the job {what}\n{processes}--- stdout\n{stdout}\n--- stderr\n{stderr}")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.session.kill();
        // Takes the status, if nobody has.
        let _ = self.child.wait();
    }
}

impl Ended {
    /// The exit code as a shell tells it: 128 + signal if one ended the process.
    pub(crate) fn code(&self) -> i32 {
        self.status.code().or(self.status.signal().map(|signal| 128 + signal)).unwrap()
    }

    /// Expects an exit code.
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(self.code(), code, "exit code\n{self}");
        self
    }

    /// Expects one report of `mpiexec` on standard error, with all these words.
    pub(crate) fn expect_report(&self, facts: &[&str]) {
        self.expect_one_line("mpiexec: error:", facts);
    }

    /// Expects one line with this beginning on standard error, with all these words.
    pub(crate) fn expect_one_line(&self, beginning: &str, facts: &[&str]) {
        let reports: Vec<&str> = self.stderr.lines().filter(|line| line.starts_with(beginning)).collect();
        let [report] = reports[..] else { panic!("{} reports instead of one\n{self}", reports.len()) };
        for fact in facts {
            assert!(report.contains(fact), "'{fact}' is missing in: {report}");
        }
    }

    /// Expects nothing but this on standard output, and nothing on standard error.
    pub(crate) fn expect_output(&self, stdout: &str) {
        assert!(self.stdout == stdout && self.stderr.is_empty(), "expected '{stdout}'\n{self}");
    }
}

impl std::fmt::Display for Ended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { status, stdout, stderr, took } = self;
        write!(f, "{status} after {took:?}\n--- stdout\n{stdout}\n--- stderr\n{stderr}")
    }
}

/// A trial's own directory: its output, and an empty one for temporary files. Removed when dropped.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::SeqCst);
        let name = format!("jobs-{}-{number}", std::process::id());
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir_all(path.join("tmp")).unwrap();
        Self(path)
    }

    fn create(&self, name: &str) -> File {
        File::options().create(true).append(true).open(self.0.join(name)).unwrap()
    }

    fn read(&self, name: &str) -> String {
        String::from_utf8_lossy(&fs::read(self.0.join(name)).unwrap_or_default()).into_owned()
    }

    fn temporary(&self) -> PathBuf {
        self.0.join("tmp")
    }

    fn temporary_files(&self) -> Vec<String> {
        names(&self.temporary().display().to_string())
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn names(directory: &str) -> Vec<String> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

/// The named shared memory of ringmpi on this machine.
fn shared_memory() -> BTreeSet<String> {
    names("/dev/shm").into_iter().filter(|name| name.contains("ringmpi")).collect()
}

/// Whether a process maps it: then it belongs to something else that runs on this machine.
fn is_in_use(shared_memory: &str) -> bool {
    let maps = names("/proc").into_iter().map(|pid| format!("/proc/{pid}/maps"));
    maps.filter_map(|path| fs::read_to_string(path).ok()).any(|maps| maps.contains(shared_memory))
}
