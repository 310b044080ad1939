//! A JSON body, within the time that a sender has for any body.

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest, web};
use futures_util::future::LocalBoxFuture;
use serde::de::DeserializeOwned;

use crate::deliveries::BODY_TIME;
use crate::error::ApiError;

/// What the body says. 408 where it does not arrive in time; otherwise as [`web::Json`].
pub struct TimedJson<T>(pub T);

impl<T: DeserializeOwned + 'static> FromRequest for TimedJson<T> {
    type Error = actix_web::Error;
    type Future = LocalBoxFuture<'static, Result<Self, Self::Error>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let reading = web::Json::<T>::from_request(request, payload);
        Box::pin(async move {
            let read = tokio::time::timeout(BODY_TIME, reading).await.map_err(|_| ApiError::Timeout)?;
            read.map(|body| Self(body.into_inner()))
        })
    }
}
