//! smoke
use qcc_tests::{generate, machines};
use rand::SeedableRng;
#[test]
fn smoke() {
    let (mut ok, mut bad) = (0, 0);
    for seed in 0..300u64 {
        let mut rng = rand_pcg::Pcg64Mcg::seed_from_u64(seed);
        let hw = machines::tiny(&mut rng);
        let (g, _) = generate::network(&mut rng, &hw);
        if let Err(e) = g.verify() { println!("{seed}: verify {e:?}"); }
        match compiler::backend::generate(&g, &hw, Default::default()) {
            Ok(p) => { ok += 1; for f in isa::verify::verify(&p).iter().take(3) { println!("{seed}: {f}"); } }
            Err(e) => { bad += 1; println!("{seed}: {e}"); }
        }
    }
    println!("{ok} ok {bad} bad");
}
