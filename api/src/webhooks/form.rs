//! JSON inside a form: the content type `application/x-www-form-urlencoded` of GitHub and Gitea hooks.

use std::borrow::Cow;

use url::form_urlencoded;

/// The media type of forms.
pub(super) const FORM: &str = "application/x-www-form-urlencoded";

/// The JSON of a body: its field `payload` if it is a form, else all of it.
pub(super) fn document<'a>(media_type: &str, body: &'a [u8]) -> Cow<'a, [u8]> {
    if media_type != FORM {
        return Cow::Borrowed(body);
    }
    let payload = form_urlencoded::parse(body).find(|(name, _)| name == "payload");
    Cow::Owned(payload.map(|(_, value)| value.into_owned().into_bytes()).unwrap_or_default())
}
