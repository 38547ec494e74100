//! Typed messages: bytes become values only if they are.

use super::{ahead, assert_same, bytes, next, previous};
use nix::sys::resource::{RLIM_INFINITY, Resource, setrlimit};
use ringmpi::{
    Communicator, ErrorClass, PROC_NULL, Result, Source,
    bytemuck::{CheckedBitPattern, NoUninit},
};
use std::mem::MaybeUninit;

#[derive(Clone, Copy, Debug, PartialEq, NoUninit, CheckedBitPattern)]
#[repr(u8)]
enum Colour {
    Red = 1,
    Green = 2,
}

#[derive(Clone, Copy, Debug, PartialEq, NoUninit, CheckedBitPattern)]
#[repr(C)]
struct Particle {
    position: [f64; 3],
    charge: i32,
    is_fixed: bool,
    colour: Colour,
    fill: [u8; 2],
}

const PARTICLE: Particle = Particle {
    position: [1.0, -2.5, 1e300],
    charge: -3,
    is_fixed: true,
    colour: Colour::Green,
    fill: [0; 2],
};

pub(crate) fn checked_types(world: &Communicator<'_>) -> Result<()> {
    next(world).send(&[PARTICLE, PARTICLE])?;
    assert_eq!(previous(world).receive_vec::<Particle>()?.0, [PARTICLE; 2]);
    next(world).buffered_send(&['ß', '漢'])?;
    assert_eq!(previous(world).receive_vec::<char>()?.0, ['ß', '漢']);
    next(world).send(&[Colour::Red])?;
    assert_eq!(previous(world).receive::<Colour>()?.0, Colour::Red);
    let refused = |error: ringmpi::Error| assert_eq!(error.class(), ErrorClass::TYPE, "{error}");
    for _ in 0..5 {
        next(world).buffered_send(&[1u8, 2, 3])?;
    }
    let mut colours = [Colour::Red; 3];
    refused(previous(world).receive_into(&mut colours).unwrap_err());
    assert_eq!(colours, [Colour::Red; 3], "nothing has become a value");
    refused(previous(world).receive_vec::<bool>().unwrap_err());
    refused(previous(world).immediate_receive::<Colour>(3)?.wait().unwrap_err());
    refused(previous(world).immediate_receive_into(vec![false; 3])?.wait().unwrap_err());
    refused(
        previous(world).receive_into_uninit(&mut [MaybeUninit::<bool>::uninit(); 3]).map(drop).unwrap_err(),
    );
    next(world).send(&[true])?;
    assert!(previous(world).receive::<bool>()?.0);
    world.barrier()
}

pub(crate) fn parts_of_elements(world: &Communicator<'_>) -> Result<()> {
    for _ in 0..2 {
        next(world).buffered_send(&[1u8; 10])?;
    }
    let status = previous(world).probe()?;
    assert_eq!(
        (status.count::<u8>(), status.count::<u16>(), status.count::<u32>()),
        (Some(10), Some(5), None)
    );
    assert_eq!(previous(world).receive_vec::<u32>().unwrap_err().class(), ErrorClass::TYPE);
    let mut words = [7u32; 4];
    assert_eq!(previous(world).receive_into(&mut words).unwrap_err().class(), ErrorClass::TYPE);
    world.barrier()
}

pub(crate) fn uninitialised_memory(world: &Communicator<'_>) -> Result<()> {
    next(world).send(&[1.5, 2.5])?;
    let mut memory = [MaybeUninit::<f64>::uninit(); 5];
    let (values, status) = previous(world).receive_into_uninit(&mut memory)?;
    assert_eq!((&*values, status.bytes()), (&[1.5, 2.5][..], 16));
    for len in [0, 8, 3000, 60_000, 500_000] {
        let sending = next(world).immediate_send(bytes(world.rank(), len, len))?;
        let mut memory = Vec::with_capacity(len + 5);
        let (values, _) = previous(world).receive_into_uninit(memory.spare_capacity_mut())?;
        assert_same(values, &bytes(ahead(world, -1), len, len));
        sending.wait()?;
    }
    let nobody = world.process_at_rank(PROC_NULL);
    assert!(nobody.receive_into_uninit(&mut memory)?.0.is_empty());
    next(world).buffered_send(&[true, false])?;
    let mut memory = [MaybeUninit::uninit(); 2];
    assert_eq!(previous(world).receive_into_uninit::<bool>(&mut memory)?.0, [true, false]);
    Ok(())
}

/// A receive in place needs no memory of its own: here there is none for as much again.
pub(crate) fn uninitialised_memory_is_received_in_place(world: &Communicator<'_>) -> Result<()> {
    const ROOM: usize = 1 << 30;
    let mut memory: Vec<u64> = Vec::with_capacity(ROOM / 8);
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let size = status.lines().find_map(|line| line.strip_prefix("VmSize:")?.strip_suffix("kB")).unwrap();
    let used = size.trim().parse::<u64>().unwrap() << 10;
    setrlimit(Resource::RLIMIT_AS, used + ROOM as u64 / 2, RLIM_INFINITY).unwrap();
    next(world).buffered_send(&[7u64; 100])?;
    assert_eq!(previous(world).receive_into_uninit(memory.spare_capacity_mut())?.0, [7; 100]);
    world.barrier()
}

pub(crate) fn empty_messages(world: &Communicator<'_>) -> Result<()> {
    for _ in 0..1000 {
        next(world).send::<f64>(&[])?;
        let (got, status) = previous(world).receive_vec::<f64>()?;
        assert_eq!((got.len(), status.bytes(), status.count::<u64>()), (0, 0, Some(0)));
    }
    next(world).send::<u8>(&[])?;
    assert_eq!(previous(world).receive::<u8>().unwrap_err().class(), ErrorClass::COUNT);
    world.barrier()
}
