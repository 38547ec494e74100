//! The simulator over a few seeds.

#[test]
fn the_first_seeds_go_well() {
    for seed in 0..200 {
        if let Err(wrong) = super::run(seed) {
            panic!("seed {seed}: {wrong}");
        }
    }
}
