//! What the OpenAPI document says of all routes alike, so that no route has to repeat it.
//!
//! Errors are `application/problem+json` (RFC 9457), and whoever shows a token that lacks the scope gets 403.

use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::{Content, OpenApi, Ref, RefOr, Response, ResponseBuilder, Schema};

const PROBLEM: &str = "application/problem+json";
const SCHEMA: &str = "#/components/schemas/ProblemDocument";

/// Completes a document to which every route has added itself.
pub fn complete(document: &mut OpenApi) {
    for operation in document.paths.paths.values_mut().flat_map(operations) {
        let problems = operation.responses.responses.values_mut().filter_map(|response| match response {
            RefOr::T(response) if is_problem(response) => Some(response),
            RefOr::T(_) | RefOr::Ref(_) => None,
        });
        problems.for_each(retype);
        let answers = &mut operation.responses.responses;
        let asks_for_token = answers.get("401").is_some_and(|answer| match answer {
            RefOr::T(response) => response.content.contains_key(PROBLEM),
            RefOr::Ref(_) => false,
        });
        if asks_for_token && operation.security.is_some() {
            answers.entry("403".to_owned()).or_insert_with(|| RefOr::T(lacks_scope()));
        }
    }
}

/// The methods that a path of the document takes.
pub fn methods(document: &OpenApi, path: &str) -> Vec<&'static str> {
    let Some(item) = document.paths.paths.get(path) else { return Vec::new() };
    let PathItem { get, put, post, delete, options, head, patch, trace, .. } = item;
    let taken = [
        ("GET", get),
        ("HEAD", head),
        ("POST", post),
        ("PUT", put),
        ("DELETE", delete),
        ("OPTIONS", options),
        ("PATCH", patch),
        ("TRACE", trace),
    ];
    taken.into_iter().filter_map(|(name, operation)| operation.as_ref().map(|_| name)).collect()
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    let PathItem { get, put, post, delete, options, head, patch, trace, .. } = item;
    [get, put, post, delete, options, head, patch, trace].into_iter().flatten()
}

fn is_problem(response: &Response) -> bool {
    response.content.values().any(|content| match content {
        RefOr::T(Content { schema: Some(RefOr::Ref(reference)), .. }) => reference.ref_location == SCHEMA,
        RefOr::T(_) | RefOr::Ref(_) => false,
    })
}

fn retype(response: &mut Response) {
    let contents = std::mem::take(&mut response.content);
    response.content = contents.into_values().map(|content| (PROBLEM.to_owned(), content)).collect();
}

fn lacks_scope() -> Response {
    let problem = Content::new(Some(RefOr::<Schema>::Ref(Ref::new(SCHEMA))));
    ResponseBuilder::new().description("The token lacks the scope").content(PROBLEM, problem).build()
}

#[cfg(test)]
mod tests;
