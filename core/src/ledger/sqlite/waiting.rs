//! Who waits for a hold: an answer that comes when it is durable, and a hold that is given back if nobody takes it.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::super::budget::{Hold, Reserved};
use super::queue::{Job, Queue, over};
use crate::error::Result;

pub(super) struct Waiting {
    queue: Arc<Queue>,
    id: String,
    /// Taken with the answer.
    answer: Option<oneshot::Receiver<Result<Reserved>>>,
}

impl Waiting {
    /// Has the writer hold something.
    ///
    /// # Errors
    /// `storage` when there is no room because the writer fails.
    pub fn new(queue: &Arc<Queue>, hold: Hold) -> Result<Self> {
        let (told, answer) = oneshot::channel();
        let id = hold.id.clone();
        queue.put(Job::Reserve(Box::new(hold), told))?;
        Ok(Waiting { queue: queue.clone(), id, answer: Some(answer) })
    }

    /// What it comes to.
    pub async fn outcome(mut self) -> Result<Reserved> {
        let Some(answer) = &mut self.answer else { return Err(over()) };
        let told = answer.await;
        self.answer = None;
        told.unwrap_or_else(|_| Err(over()))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let Some(mut answer) = self.answer.take() else { return };
        // From here on the writer learns by itself that nobody waits.
        answer.close();
        if let Ok(Ok(Reserved::Held(_))) = answer.try_recv() {
            self.queue.give_back(std::mem::take(&mut self.id));
        }
    }
}
