//! Constructors of communicators whose processes are joined by edges.

use crate::{
    coll::Partition,
    communicator::Communicator,
    error::{Error, ErrorClass, Result},
    topology::{GraphCommunicator, Neighbours, Weights},
    types::Rank,
};

/// Whether a rank has given weights.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Weighing {
    /// It has no edges.
    Any = 0,
    Without = 1,
    With = 2,
}

/// An edge on its way to both of its ends: from, to, weight.
type Record = [u32; 3];

impl<'u> Communicator<'u> {
    /// A communicator with the neighbours that each rank names: from whom it receives (`sources`), and to whom it sends
    /// (`destinations`), in the order in which the collectives of neighbours have their parts. A rank may be there
    /// several times, and so may this one. All ranks call it, and both ends of an edge name it.
    ///
    /// Either all ranks that have edges give weights, one for each, or none does. Weights and `reorder` change nothing:
    /// ranks stay what they are, since on one machine there is nothing to gain by other ones.
    ///
    /// ```
    /// # ringmpi::threads(3, |world| {
    /// // Rank 0 sends to all, with weights; nobody sends to it.
    /// let star = if world.rank() == 0 {
    ///     world.create_graph_adjacent(&[], Some(&[]), &[2, 1], Some(&[20, 10]), false)?
    /// } else {
    ///     let weight = 10 * world.rank() as u32;
    ///     world.create_graph_adjacent(&[0], Some(&[weight]), &[], Some(&[]), false)?
    /// };
    /// assert_eq!(star.in_weights().is_some_and(|weights| !weights.is_empty()), world.rank() > 0);
    /// let mut got = vec![0; star.in_neighbours().len()];
    /// let mine: &[i32] = if world.rank() == 0 { &[7, 8] } else { &[] };
    /// star.neighbour_all_to_all_into(mine, &mut got)?;
    /// assert_eq!(got, [&[][..], &[8], &[7]][world.rank() as usize]);
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// A rank that does not exist; weights that are not one for each edge, or given by some ranks only; an edge that only
    /// one of its ends names, or one of them more often than the other. Then all ranks err. The end of the job; all
    /// context ids used up.
    ///
    /// # Standard
    /// MPI 5.0, 8.5.4: `MPI_Dist_graph_create_adjacent`.
    pub fn create_graph_adjacent(
        &self,
        sources: &[Rank],
        source_weights: Option<&[u32]>,
        destinations: &[Rank],
        destination_weights: Option<&[u32]>,
        reorder: bool,
    ) -> Result<GraphCommunicator<'u>> {
        const NAME: &str = "Communicator::create_graph_adjacent";
        self.tidy();
        let weighing = check_ranks(NAME, "sources", sources.iter().copied(), self.size())
            .and_then(|()| check_ranks(NAME, "destinations", destinations.iter().copied(), self.size()))
            .and_then(|()| weighing(NAME, "source_weights", sources.len(), source_weights))
            .and_then(|of_sources| {
                let of_destinations =
                    weighing(NAME, "destination_weights", destinations.len(), destination_weights)?;
                both(NAME, of_sources, of_destinations)
            });
        let is_weighted = self.agree_on_weights(NAME, weighing, reorder)?;
        self.check_both_ends(NAME, sources, destinations)?;
        let weights = is_weighted.then(|| Weights {
            incoming: source_weights.unwrap_or_default().into(),
            outgoing: destination_weights.unwrap_or_default().into(),
        });
        let neighbours = Neighbours::of_graph(sources.into(), destinations.into());
        Ok(GraphCommunicator::new(Communicator::duplicate(self)?, neighbours, weights))
    }

    /// A communicator with the neighbours that result from edges, (from, to), of which each rank gives some, whosever they
    /// are. All ranks call it. An edge that is given several times is there several times.
    ///
    /// Each process has its neighbours in the order of the ranks that gave the edges, and of one rank in the order in which
    /// it gave them. Weights and `reorder` are as in [`create_graph_adjacent`](Self::create_graph_adjacent).
    ///
    /// ```
    /// # ringmpi::threads(3, |world| {
    /// // Rank 1 knows the whole graph: a ring, with a loop at 0.
    /// let edges: &[_] = if world.rank() == 1 { &[(0, 1), (1, 2), (2, 0), (0, 0)] } else { &[] };
    /// let ring = world.create_graph(edges, None, false)?;
    /// assert_eq!(ring.in_neighbours(), [&[2, 0][..], &[0], &[1]][world.rank() as usize]);
    /// assert_eq!(ring.neighbour_all_gather(&[world.rank()])?, ring.in_neighbours());
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// A rank that does not exist; weights that are not one for each edge, or given by some ranks only. Then all ranks
    /// err. The end of the job; all context ids used up.
    ///
    /// # Standard
    /// MPI 5.0, 8.5.4: `MPI_Dist_graph_create`.
    pub fn create_graph(
        &self,
        edges: &[(Rank, Rank)],
        weights: Option<&[u32]>,
        reorder: bool,
    ) -> Result<GraphCommunicator<'u>> {
        const NAME: &str = "Communicator::create_graph";
        self.tidy();
        let ends = edges.iter().flat_map(|(from, to)| [*from, *to]);
        let weighing = check_ranks(NAME, "edges", ends, self.size())
            .and_then(|()| weighing(NAME, "weights", edges.len(), weights));
        let is_weighted = self.agree_on_weights(NAME, weighing, reorder)?;
        let (mut sources, mut destinations, mut both) = (Vec::new(), Vec::new(), Weights::default());
        for [from, to, weight] in self.exchange_edges(edges, weights)? {
            let (from, to) = (from as Rank, to as Rank);
            if from == self.rank() {
                destinations.push(to);
                both.outgoing.push(weight);
            }
            if to == self.rank() {
                sources.push(from);
                both.incoming.push(weight);
            }
        }
        let neighbours = Neighbours::of_graph(sources, destinations);
        let comm = Communicator::duplicate(self)?;
        Ok(GraphCommunicator::new(comm, neighbours, is_weighted.then_some(both)))
    }

    /// Brings edges to both their ends; gives those of this rank, in an order that is the same for both ends.
    fn exchange_edges(&self, edges: &[(Rank, Rank)], weights: Option<&[u32]>) -> Result<Vec<Record>> {
        let mut for_each: Vec<Vec<Record>> = vec![Vec::new(); self.size() as usize];
        for (index, &(from, to)) in edges.iter().enumerate() {
            // Ranks of the communicator.
            let record = [from as u32, to as u32, weights.map_or(0, |weights| weights[index])];
            for_each[from as usize].push(record);
            if to != from {
                for_each[to as usize].push(record);
            }
        }
        let counts: Vec<usize> = for_each.iter().map(Vec::len).collect();
        let records = self.all_to_all_varcount(Partition::new(&for_each.concat(), counts))?;
        Ok(records.concat())
    }

    /// Whether the graph has weights, about which all ranks that have edges agree.
    fn agree_on_weights(&self, function: &str, mine: Result<Weighing>, reorder: bool) -> Result<bool> {
        let (_, said) =
            self.agree_on(function, mine, |weighing| *weighing as u64 | u64::from(reorder) << 2)?;
        if let Some(rank) = said.iter().position(|word| word >> 2 != said[0] >> 2) {
            let what = format!("{function}: ranks 0 and {rank} differ in reorder");
            return Err(Error::new(ErrorClass::ARG, what));
        }
        let first = |weighing: Weighing| said.iter().position(|word| word & 3 == weighing as u64);
        match (first(Weighing::With), first(Weighing::Without)) {
            (Some(with), Some(without)) => {
                let what = format!("{function}: rank {with} gave weights, rank {without} gave none");
                Err(Error::new(ErrorClass::ARG, what).with_help("give weights on all ranks or on none"))
            }
            (with, _) => Ok(with.is_some()),
        }
    }

    /// Both ends of every edge have to name it.
    fn check_both_ends(&self, function: &str, sources: &[Rank], destinations: &[Rank]) -> Result<()> {
        let counted = |ranks: &[Rank]| {
            let mut counts = vec![0u64; self.size() as usize];
            ranks.iter().for_each(|rank| counts[*rank as usize] += 1);
            counts
        };
        let (expected, sent) = (counted(sources), self.all_to_all(&counted(destinations))?);
        let found = (0..self.size()).find(|rank| expected[*rank as usize] != sent[*rank as usize]);
        let checked = found.map_or(Ok(()), |rank| {
            let (expected, sent) = (expected[rank as usize], sent[rank as usize]);
            let what = format!(
                "{function}: rank {} is {sent} times in the destinations of rank {rank}, which is {expected} times in its \
                 sources",
                self.rank()
            );
            Err(Error::new(ErrorClass::ARG, what).with_help("both ends of an edge have to name it"))
        });
        self.agree_on(function, checked, |()| 0).map(drop)
    }
}

fn check_ranks(
    function: &str,
    argument: &str,
    mut ranks: impl Iterator<Item = Rank>,
    size: Rank,
) -> Result<()> {
    match ranks.find(|rank| !(0..size).contains(rank)) {
        None => Ok(()),
        Some(rank) => {
            let last = size - 1;
            let what =
                format!("{function}: {argument} name rank {rank}; the communicator has ranks 0 to {last}");
            Err(Error::new(ErrorClass::RANK, what))
        }
    }
}

fn weighing(function: &str, argument: &str, edges: usize, weights: Option<&[u32]>) -> Result<Weighing> {
    match weights {
        Some(weights) if weights.len() != edges => {
            let what = format!("{function}: {argument} has {} entries, for {edges} edges", weights.len());
            Err(Error::new(ErrorClass::ARG, what))
        }
        _ if edges == 0 => Ok(Weighing::Any),
        Some(_) => Ok(Weighing::With),
        None => Ok(Weighing::Without),
    }
}

/// Of one rank's edges in both directions.
fn both(function: &str, of_sources: Weighing, of_destinations: Weighing) -> Result<Weighing> {
    match (of_sources, of_destinations) {
        (Weighing::Any, one) | (one, Weighing::Any) => Ok(one),
        (one, other) if one == other => Ok(one),
        _ => {
            let what = format!("{function}: weights are given for one of sources and destinations only");
            Err(Error::new(ErrorClass::ARG, what))
        }
    }
}

impl<'u> GraphCommunicator<'u> {
    /// The same graph of the same processes in a context of its own. All ranks call it. The name is not copied.
    ///
    /// ```
    /// use ringmpi::CommunicatorRelation;
    /// # ringmpi::threads(3, |world| {
    /// let next = (world.rank() + 1) % 3;
    /// let ring = world.create_graph(&[(world.rank(), next)], Some(&[5]), false)?;
    /// let mine = ring.duplicate()?;
    /// assert_eq!((mine.out_neighbours(), mine.out_weights()), (&[next][..], Some(&[5][..])));
    /// assert_eq!(mine.compare(&ring), CommunicatorRelation::Congruent);
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// The end of the job; all context ids used up.
    ///
    /// # Standard
    /// MPI 5.0, 7.4.2: `MPI_Comm_dup`.
    pub fn duplicate(&self) -> Result<GraphCommunicator<'u>> {
        let comm = Communicator::duplicate(self)?;
        Ok(GraphCommunicator::new(comm, self.neighbours().clone(), self.weights().cloned()))
    }
}
