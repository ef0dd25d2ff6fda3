//! Several pipelines of one device at the same time.

use std::{
    collections::BTreeMap,
    ops::ControlFlow,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use egom2p::{
    device_pipeline::DevicePipeline,
    device_workers::share_work,
    generation::{Generated, GenerationSettings, ModalityTokens},
};
use egom2p_device::{
    Buffer, CapturedGraph, ComputeDevice, DeviceError, DeviceFacts, DeviceMemory, HostDevice, Kernel, Result, Stream,
};
use egom2p_model::Modality;

use crate::{DEVICE_BYTES, RGB, assert_same, bundle::TestBundle, motion, n, on_processor, plan, tokens};

const N_CLIPS: usize = 7;

/// What came of clips, by their number.
struct Streamed {
    generated: BTreeMap<usize, Generated>,
    failed: BTreeMap<usize, String>,
    /// Clips that were put on the queue.
    n_put: usize,
}

fn settings() -> GenerationSettings {
    motion(|target| target.sampler.temperature = 1.0)
}

fn pipelines(bundle: &TestBundle, device: Arc<dyn ComputeDevice>, n_streams: usize) -> Vec<DevicePipeline> {
    let options = TestBundle::session_options();
    let first = DevicePipeline::new(bundle.open(), device, &bundle.config, &settings(), &plan(1, &[RGB]), &options);
    let first = first.unwrap_or_else(|error| panic!("{error}"));
    first.streams(n(n_streams)).unwrap_or_else(|error| panic!("{error}"))
}

/// Decodes clips in as many streams; a lost device stops everything.
fn streamed(mut pipelines: Vec<DevicePipeline>, clips: &[Vec<ModalityTokens>]) -> Streamed {
    let (generated, failed) = (Mutex::new(BTreeMap::new()), Mutex::new(BTreeMap::new()));
    let work = |pipeline: &mut DevicePipeline, (index, clip): (usize, &Vec<ModalityTokens>)| {
        match pipeline.generate(std::slice::from_ref(clip), &mut |_| ()) {
            Ok(mut all) => {
                let before = generated.lock().expect("no panic").insert(index, all.remove(0));
                assert!(before.is_none(), "clip {index} was decoded twice");
            }
            Err(error) => {
                failed.lock().expect("no panic").insert(index, error.to_string());
                if matches!(error.device(), Some(DeviceError::Lost { .. })) {
                    return ControlFlow::Break(());
                }
            }
        }
        ControlFlow::Continue(())
    };
    let n_put = share_work(&mut pipelines, work, |put| {
        clips.iter().enumerate().take_while(|piece| put(*piece).is_continue()).count()
    });
    let (generated, failed) = (generated.into_inner().expect("no panic"), failed.into_inner().expect("no panic"));
    Streamed { generated, failed, n_put }
}

fn clips(bundle: &TestBundle) -> Vec<Vec<ModalityTokens>> {
    (0..N_CLIPS).map(|clip| vec![tokens(&bundle.config, RGB, clip)]).collect()
}

#[test]
fn any_number_of_streams_gives_the_same_and_a_failing_clip_stops_none() {
    let Some(bundle) = TestBundle::small() else { return };
    let mut clips = clips(&bundle);
    let expected: Vec<Generated> = clips.iter().map(|clip| on_processor(&bundle, &settings(), clip)).collect();
    for n_streams in 1..=3 {
        let streamed = streamed(pipelines(&bundle, HostDevice::new(DEVICE_BYTES), n_streams), &clips);
        assert_eq!((streamed.generated.len(), streamed.failed.len(), streamed.n_put), (N_CLIPS, 0, N_CLIPS));
        for (index, generated) in &streamed.generated {
            assert_same(&format!("clip {index} of {n_streams} streams"), generated, &expected[*index]);
        }
    }
    clips[2] = vec![tokens(&bundle.config, Modality::Depth, 2)];
    for n_streams in 1..=3 {
        let streamed = streamed(pipelines(&bundle, HostDevice::new(DEVICE_BYTES), n_streams), &clips);
        assert_eq!(streamed.failed.keys().collect::<Vec<_>>(), [&2]);
        assert_eq!((streamed.generated.len(), streamed.n_put), (N_CLIPS - 1, N_CLIPS));
        for (index, generated) in &streamed.generated {
            assert_same(&format!("clip {index} beside a failing one"), generated, &expected[*index]);
        }
    }
}

#[test]
fn a_lost_device_ends_every_stream_and_what_was_finished_stays() {
    let Some(bundle) = TestBundle::small() else { return };
    let clips: Vec<_> = std::iter::repeat_with(|| clips(&bundle)).take(20).flatten().collect();
    let per_clip = {
        let device = Fragile::new(usize::MAX);
        streamed(pipelines(&bundle, device.clone(), 1), &clips[..1]);
        usize::MAX - device.reads_left.load(Ordering::Relaxed)
    };
    for n_streams in 1..=3 {
        let device = Fragile::new(10 * per_clip);
        let streamed = streamed(pipelines(&bundle, device, n_streams), &clips);
        let (n_done, n_failed) = (streamed.generated.len(), streamed.failed.len());
        assert!((1..=n_streams).contains(&n_failed), "{n_failed} of {n_streams} streams");
        assert!((11 - n_streams..=10).contains(&n_done), "{n_done} clips were done");
        assert!(streamed.failed.values().all(|error| error.starts_with("host was lost: it fell off the bus\n")));
        assert!(streamed.n_put < clips.len(), "clips went on the queue of a lost device");
    }
}

#[test]
fn streams_that_do_not_fit_are_counted() {
    let Some(bundle) = TestBundle::small() else { return };
    let one = pipelines(&bundle, HostDevice::new(DEVICE_BYTES), 1)[0].memory();
    let stream_bytes = one.tensors_bytes + one.scratch_bytes;
    let total_bytes = stream_bytes * 5 / 2;
    assert_eq!(pipelines(&bundle, HostDevice::new(total_bytes), 2).len(), 2);
    let first = pipelines(&bundle, HostDevice::new(total_bytes), 1).remove(0);
    let error = first.streams(n(4)).err().expect("there is no room for four");
    assert!(matches!(error.device(), Some(DeviceError::OutOfMemory { .. })));
    let free_bytes = total_bytes - 2 * stream_bytes;
    assert_eq!(
        error.to_string(),
        format!(
            "host has room for 2 of 4 streams: each takes {stream_bytes} bytes beside what they share, and {free_bytes} are free of {total_bytes}\n\
             use --streams 2, or a smaller --batch"
        )
    );
}

/// The host, until it is lost after as many reads, by all streams together.
#[derive(Debug)]
struct Fragile {
    host: Arc<HostDevice>,
    reads_left: AtomicUsize,
}

struct FragileStream {
    device: Arc<dyn ComputeDevice>,
    fragile: Arc<Fragile>,
    host: Arc<dyn Stream>,
}

impl Fragile {
    fn new(n_reads: usize) -> Arc<Self> {
        Arc::new(Self { host: HostDevice::new(DEVICE_BYTES), reads_left: AtomicUsize::new(n_reads) })
    }
}

impl ComputeDevice for Fragile {
    fn facts(&self) -> &DeviceFacts {
        self.host.facts()
    }

    fn memory(&self) -> Result<DeviceMemory> {
        self.host.memory()
    }

    fn allocate(&self, n_bytes: usize) -> Result<Buffer> {
        self.host.allocate(n_bytes)
    }

    fn stream(self: Arc<Self>) -> Result<Arc<dyn Stream>> {
        let host = Arc::clone(&self.host).stream()?;
        Ok(Arc::new(FragileStream { device: Arc::clone(&self) as Arc<dyn ComputeDevice>, fragile: self, host }))
    }
}

impl Stream for FragileStream {
    fn device(&self) -> &Arc<dyn ComputeDevice> {
        &self.device
    }

    fn handle(&self) -> usize {
        self.host.handle()
    }

    fn write(&self, to: &Buffer, fill: &mut dyn FnMut(&mut [u8])) -> Result<()> {
        self.host.write(to, fill)
    }

    fn read(&self, from: &Buffer, take: &mut dyn FnMut(&[u8])) -> Result<()> {
        let left =
            self.fragile.reads_left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        if left.is_err() {
            return Err(DeviceError::Lost { name: "host".to_owned(), what: "it fell off the bus".to_owned() });
        }
        self.host.read(from, take)
    }

    fn copy(&self, to: &Buffer, from: &Buffer) -> Result<()> {
        self.host.copy(to, from)
    }

    fn launch(&self, kernel: &Kernel<'_>) -> Result<()> {
        self.host.launch(kernel)
    }

    fn synchronize(&self) -> Result<()> {
        self.host.synchronize()
    }

    fn wait_for(&self, other: &dyn Stream) -> Result<()> {
        self.host.wait_for(other)
    }

    fn begin_capture(&self) -> Result<bool> {
        self.host.begin_capture()
    }

    fn end_capture(&self) -> Result<Box<dyn CapturedGraph>> {
        self.host.end_capture()
    }
}
