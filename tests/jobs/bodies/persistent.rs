//! Persistent requests.

use super::{next, previous};
use ringmpi::{Communicator, ErrorClass, Result, Source};

pub(crate) fn persistent_requests(world: &Communicator<'_>) -> Result<()> {
    for len in [1, 600, 100_000] {
        let mut sending = next(world).tag(3).send_init(vec![0u32; len])?;
        let mut receiving = previous(world).tag(3).receive_init(vec![0u32; len])?;
        for round in 0..40 {
            sending.buffer_mut()?.fill(round);
            receiving.start()?;
            sending.start()?;
            assert_eq!(sending.start().unwrap_err().class(), ErrorClass::REQUEST);
            assert_eq!(receiving.buffer_mut().unwrap_err().class(), ErrorClass::REQUEST);
            assert_eq!(receiving.wait()?.bytes(), 4 * len as u64);
            sending.wait()?;
            assert!(receiving.test()?, "an inactive request has ended");
            assert!(receiving.buffer_mut()?.iter().all(|value| *value == round), "round {round}");
        }
    }
    Ok(())
}
