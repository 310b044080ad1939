//! Which answer each message of a round has, whatever confirm a return was attached to.

use lapin::message::Delivery;
use tokio::sync::oneshot::Receiver;

use super::*;

const NOWHERE: &str = "nowhere";

type Answer = Receiver<Result<(), QueueError>>;

/// A message of this identity to a place without a queue, and where its answer comes.
fn order(id: &str) -> (Order, Answer) {
    let (answer, answered) = oneshot::channel();
    let message = Outgoing {
        exchange: "jobs".into(),
        routing_key: NOWHERE.into(),
        routing: Routing::Required,
        body: Vec::new(),
        properties: BasicProperties::default().with_message_id(id.into()),
    };
    (Order { message, answer }, answered)
}

fn round(ids: [&str; 3]) -> (Vec<Order>, Vec<Answer>) {
    ids.into_iter().map(order).unzip()
}

/// The broker's return of the message of this identity.
fn returned(id: &str) -> Option<Box<BasicReturnMessage>> {
    let mut delivery = Delivery::mock(0, "jobs".into(), NOWHERE.into(), false, Vec::new());
    delivery.properties = BasicProperties::default().with_message_id(id.into());
    Some(Box::new(BasicReturnMessage { delivery, reply_code: 312, reply_text: "NO_ROUTE".into() }))
}

fn landing(fate: Fate, returned: Option<Box<BasicReturnMessage>>) -> Landing {
    Landing { fate, returned }
}

/// `stored`, `refused`, or `none` for one that has to be sent again.
fn said(answers: Vec<Answer>) -> Vec<&'static str> {
    let said = answers.into_iter().map(|mut answer| match answer.try_recv() {
        Ok(Ok(())) => "stored",
        Ok(Err(QueueError::Refused(_))) => "refused",
        Ok(Err(_)) => "failed",
        Err(_) => "none",
    });
    said.collect()
}

#[test]
fn i1_a_return_beside_anothers_confirm_is_told_to_its_own_message() {
    let (mut orders, answers) = round(["a", "b", "c"]);
    let landings =
        vec![landing(Fate::Stored, returned("c")), landing(Fate::Stored, None), landing(Fate::Stored, None)];
    answer(&mut orders, landings);
    assert!(orders.is_empty());
    assert_eq!(said(answers), ["stored", "stored", "refused"]);
}

#[test]
fn i1_two_returns_that_changed_places_are_told_apart() {
    let (mut orders, answers) = round(["a", "b", "c"]);
    let landings = vec![
        landing(Fate::Stored, returned("c")),
        landing(Fate::Stored, None),
        landing(Fate::Stored, returned("a")),
    ];
    answer(&mut orders, landings);
    assert!(orders.is_empty());
    assert_eq!(said(answers), ["refused", "stored", "refused"]);
}

#[test]
fn i1_what_nobody_answered_for_is_sent_again_and_nothing_else_is() {
    let (mut orders, answers) = round(["a", "b", "c"]);
    let landings = vec![
        landing(Fate::Unknown, None),
        landing(Fate::NotStored, None),
        // Its confirm is missing, but it was seen coming back.
        landing(Fate::Unknown, returned("c")),
    ];
    answer(&mut orders, landings);
    let left: Vec<_> = orders.iter().map(|order| order.message.properties.message_id().clone()).collect();
    assert_eq!(left, [Some("a".into())]);
    assert_eq!(said(answers), ["none", "refused", "refused"]);
}
