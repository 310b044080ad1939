//! `ready`: asks `/readyz` and says what it said. The image has no shell and no curl that could ask.

use std::time::Duration;

use reqwest::Method;

use crate::args::ServerArguments;
use crate::client::Client;
use crate::{Exit, Failure};

pub(crate) async fn ready(arguments: &ServerArguments) -> Result<Exit, Failure> {
    let client = Client::new(arguments)?;
    let (status, said) = client.ask(Method::GET, "readyz", &[], None, Duration::ZERO).await?;
    println!("{}", String::from_utf8_lossy(&said));
    Ok(if status.is_success() { Exit::Pass } else { Exit::Fail })
}
