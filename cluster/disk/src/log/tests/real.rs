//! On a real file system.

use super::*;
use retailflow_os::files::{Preallocate, RealFiles};

const AHEAD: LogOptions = LogOptions { prepare_ahead: true, ..SMALL };

fn open_real(dir: &Path, preallocate: Preallocate) -> Result<(Opened, usize), LogError> {
    let opening = Opening::begin(Arc::new(RealFiles { preallocate }), dir, AHEAD, new_log)?;
    let mut frames = 0;
    let opened = opening.finish(None, &mut |_| {
        frames += 1;
        Ok(())
    })?;
    Ok((opened, frames))
}

#[test]
fn it_works_on_real_files() {
    for preallocate in [Preallocate::Reserve, Preallocate::WriteZeros] {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("a/b/log");
        let (log, _) = open_real(&dir, preallocate).unwrap();
        let error = open_real(&dir, preallocate).err().unwrap().to_string();
        assert!(error.contains(&format!("process {}", std::process::id())), "{error}");
        let mut writer = LogWriter::start(log.appender, 64).unwrap();
        for n in 0..50u8 {
            let frame = FramePayload { kind: FrameKind::Note, bytes: vec![n; 400] };
            writer.append(vec![frame]).unwrap().blocking_recv().unwrap().unwrap();
        }
        writer.close();
        drop((log.lock, writer));
        std::fs::write(dir.join("0000000000000009.seg.tmp"), b"left behind").unwrap();
        let (log, frames) = open_real(&dir, preallocate).unwrap();
        assert!(log.recovery.clean_stop && frames == 52);
        let left = |name: &str| name.ends_with(".tmp");
        drop(log);
        let names = std::fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().file_name());
        let names: Vec<String> = names.map(|name| name.into_string().unwrap()).collect();
        assert!(names.len() >= 4 && !names.iter().any(|name| left(name)), "{names:?}");
    }
}
