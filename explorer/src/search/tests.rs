use std::collections::BTreeSet;
use std::convert::Infallible;

use super::*;
use crate::pareto::hypervolume;

/// The space of the committed example, and what its grid gave: one line of objectives for each point, made by
/// `qdse fashion_mnist.onnx --space space.toml --data test.npz --calib calibration.npz --preprocess mean=0,std=255`.
const SPACE: &str = include_str!("../../../programs/fashion_mnist/space.toml");
const GRID: &str = include_str!("fashion_grid.csv");

fn grid(space: &Space) -> Vec<Row> {
    let rows = GRID.lines().skip(1).enumerate().map(|(point, line)| {
        let mut object = serde_json::Map::new();
        object.insert("point".into(), point.into());
        for (axis, value) in space.axes.iter().zip(space.values(point as u64)) {
            object.insert(axis.name.clone(), serde_json::to_value(value).unwrap());
        }
        for (objective, number) in space.objectives.iter().zip(line.split(',')) {
            object.insert(objective.key.clone(), number.parse::<f64>().unwrap().into());
        }
        object.insert("error".into(), serde_json::Value::Null);
        Row::parse(space, &serde_json::to_string(&object).unwrap()).unwrap()
    });
    rows.collect()
}

/// Costs scaled so that those of the grid lie in 0..1.
fn scaled(rows: &[Row], of: &[Row]) -> Vec<Vec<f64>> {
    let cost = |row: &Row| row.costs.clone().unwrap();
    let ends = |axis: usize| {
        let costs = of.iter().map(|row| cost(row)[axis]);
        costs.fold((f64::INFINITY, f64::NEG_INFINITY), |(lo, hi), c| (lo.min(c), hi.max(c)))
    };
    let one = |row: &Row| {
        let share = |(axis, cost): (usize, f64)| {
            let (lo, hi) = ends(axis);
            (cost - lo) / (hi - lo)
        };
        cost(row).into_iter().enumerate().map(share).collect()
    };
    rows.iter().map(one).collect()
}

/// What a search evaluates.
fn searched(space: &Space, all: &[Row]) -> Vec<Row> {
    let mut seen: Vec<Row> = Vec::new();
    let mut points = BTreeSet::new();
    let found: Result<(), Infallible> = nsga2(space, &mut |asked: &[u64]| {
        assert!(asked.iter().all(|point| points.insert(*point)), "a point was asked for twice");
        let rows: Vec<Row> = asked.iter().map(|&point| all[point as usize].clone()).collect();
        seen.extend(rows.iter().cloned());
        Ok(rows)
    });
    found.unwrap();
    seen
}

#[test]
fn a_quarter_of_the_points_dominates_nearly_what_all_do_and_more_than_random_ones() {
    let mut space = Space::parse(SPACE).unwrap();
    let all = grid(&space);
    assert_eq!(all.len() as u64, space.count());
    let reference = [1.1; 3];
    let whole = hypervolume(&scaled(&all, &all), &reference);
    let missed = |rows: &[Row]| 1.0 - hypervolume(&scaled(rows, &all), &reference) / whole;
    space.search.budget = space.count() / 4;
    let (mut searching, mut drawing) = (0.0, 0.0);
    for seed in 0..10 {
        space.search.seed = seed;
        let seen = searched(&space, &all);
        assert_eq!(seen.len() as u64, space.search.budget);
        assert!(missed(&seen) <= 0.02, "seed {seed}: {}", missed(&seen));
        searching += missed(&seen);
        let random = drawn(space.count(), space.search.budget, seed);
        let random: Vec<Row> =
            random.into_iter().map(|point| all[point as usize].clone()).collect();
        drawing += missed(&random);
    }
    assert!(
        4.0 * searching < drawing,
        "{searching} of ten volumes missed, {drawing} by random points"
    );
}

#[test]
fn a_budget_beyond_the_space_asks_for_every_point_once() {
    let mut space = Space::parse(SPACE).unwrap();
    let all = grid(&space);
    space.search.budget = 10_000;
    let mut seen = Vec::new();
    let found: Result<(), Infallible> = nsga2(&space, &mut |asked: &[u64]| {
        seen.extend(asked.iter().copied());
        Ok(asked.iter().map(|&point| all[point as usize].clone()).collect())
    });
    found.unwrap();
    seen.sort_unstable();
    assert_eq!(seen, (0..space.count()).collect::<Vec<_>>());
}

#[test]
fn points_that_break_constraints_lose() {
    let text = SPACE.replace("[constraints]", "[constraints]\ncycles.total = \"<= 30_000\"");
    let mut space = Space::parse(&text).unwrap();
    let all = grid(&space);
    space.search.budget = 120;
    let mut last = Vec::new();
    let found: Result<(), Infallible> = nsga2(&space, &mut |asked: &[u64]| {
        last = asked.iter().map(|&point| all[point as usize].clone()).collect();
        Ok(last.clone())
    });
    found.unwrap();
    let kept = |rows: &[Row]| rows.iter().filter(|r| r.is_feasible()).count() * 100 / rows.len();
    assert!(kept(&last) > 2 * kept(&all), "{}% against {}%", kept(&last), kept(&all));
}

#[test]
fn draws_are_different_and_unbiased() {
    let mut hits = [0u32; 10];
    for seed in 0..2000 {
        let chosen = drawn(10, 3, seed);
        assert!(chosen.len() == 3 && chosen.windows(2).all(|pair| pair[0] < pair[1]));
        chosen.iter().for_each(|&n| hits[n as usize] += 1);
    }
    // 600 expected, standard deviation 20.
    assert!(hits.iter().all(|&n| (500..700).contains(&n)), "{hits:?}");
    assert_eq!(drawn(4, 9, 1), [0, 1, 2, 3]);
    assert_eq!(drawn(4, 4, 1), [0, 1, 2, 3]);
}
