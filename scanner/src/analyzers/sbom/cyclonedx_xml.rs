//! CycloneDX in XML: what `cyclonedx` reads in JSON, as elements `<component type>` with `<name>`, `<version>` and
//! `<purl>` below `bom/components` and `bom/metadata/component`. Components elsewhere are tools, ancestors and recipes.
//!
//! No entity is expanded but XML's own five and characters by number; a document with others is not read.

use quick_xml::Reader;
use quick_xml::XmlVersion;
use quick_xml::events::{BytesRef, BytesStart, Event};

use super::super::lock::Unreadable;
use super::cyclonedx::nature;
use super::listing::{Component, Listing, Nature};

/// How deep elements may lie in each other.
const DEEPEST: usize = 512;
const NAMESPACE: &str = "http://cyclonedx.org/schema/bom";

/// Where the reader is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Bom,
    Metadata,
    /// What the document is about.
    Subject,
    Components,
    Component,
    Field(Field),
    Other,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Name,
    Version,
    Purl,
}

impl Part {
    /// What an element is inside `self`.
    fn inside(self, name: &str) -> Self {
        match (self, name) {
            (Self::Bom, "metadata") => Self::Metadata,
            (Self::Metadata, "component") => Self::Subject,
            (Self::Bom | Self::Subject | Self::Component, "components") => Self::Components,
            (Self::Components, "component") => Self::Component,
            (Self::Component, "name") => Self::Field(Field::Name),
            (Self::Component, "version") => Self::Field(Field::Version),
            (Self::Component, "purl") => Self::Field(Field::Purl),
            _ => Self::Other,
        }
    }
}

/// A component whose element is open.
#[derive(Default)]
struct Open {
    name: String,
    version: String,
    purl: String,
    nature: Nature,
}

/// A document as far as it has been read.
struct Walk<'l> {
    listing: &'l mut Listing,
    path: Vec<Part>,
    open: Vec<Open>,
    /// The text of the field that is open.
    text: String,
    is_bom: bool,
}

/// Enters all components; whether it is a document of this format at all.
pub(super) fn read(text: &str, listing: &mut Listing) -> Result<bool, Unreadable> {
    let mut reader = Reader::from_str(text);
    let mut walk = Walk { listing, path: Vec::new(), open: Vec::new(), text: String::new(), is_bom: false };
    loop {
        match reader.read_event()? {
            Event::Start(element) => walk.enter(&element)?,
            Event::Empty(element) => {
                walk.enter(&element)?;
                walk.leave();
            }
            Event::End(_) => walk.leave(),
            Event::Text(text) => walk.append(text.as_ref()),
            Event::CData(text) => walk.append(text.as_ref()),
            Event::GeneralRef(reference) => walk.append(&resolved(&reference)?),
            Event::Eof if walk.path.is_empty() => return Ok(walk.is_bom),
            Event::Eof => return Err(Unreadable::new(&"it ends inside an element")),
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) => {}
        }
    }
}

impl Walk<'_> {
    fn enter(&mut self, element: &BytesStart<'_>) -> Result<(), Unreadable> {
        if self.path.len() >= DEEPEST {
            return Err(Unreadable::new(&format!("its elements are nested deeper than {DEEPEST}")));
        }
        let name = element.local_name().into_inner();
        let part = match self.path.last() {
            Some(part) => part.inside(name),
            None if name == "bom" && is_cyclonedx(element)? => Part::Bom,
            None => Part::Other,
        };
        self.is_bom |= part == Part::Bom;
        if part == Part::Component {
            let stated = element.try_get_attribute("type").map_err(|error| Unreadable::new(&error))?;
            let stated = stated.map(|stated| stated.normalized_value(XmlVersion::Implicit1_0)).transpose()?;
            let nature = nature(stated.as_deref().unwrap_or_default());
            self.open.push(Open { nature, ..Open::default() });
        }
        self.text.clear();
        self.path.push(part);
        Ok(())
    }

    fn append(&mut self, text: &str) {
        if let Some(Part::Field(_)) = self.path.last() {
            self.text.push_str(text);
        }
    }

    fn leave(&mut self) {
        match self.path.pop() {
            Some(Part::Field(field)) => {
                let text = std::mem::take(&mut self.text).trim().to_owned();
                if let Some(open) = self.open.last_mut() {
                    match field {
                        Field::Name => open.name = text,
                        Field::Version => open.version = text,
                        Field::Purl => open.purl = text,
                    }
                }
            }
            Some(Part::Component) => {
                if let Some(Open { name, version, purl, nature }) = self.open.pop() {
                    let (name, version, purls) = (name.into(), Some(version.into()), vec![purl.into()]);
                    self.listing.add(&Component { name, version, purls, nature });
                }
            }
            Some(Part::Bom | Part::Metadata | Part::Subject | Part::Components | Part::Other) | None => {}
        }
    }
}

/// Whether the root element is of CycloneDX's namespace, with or without a prefix.
fn is_cyclonedx(element: &BytesStart<'_>) -> Result<bool, Unreadable> {
    for attribute in element.attributes() {
        let attribute = attribute.map_err(|error| Unreadable::new(&error))?;
        let is_namespace = attribute.key.into_inner().starts_with("xmlns");
        if is_namespace && attribute.normalized_value(XmlVersion::Implicit1_0)?.starts_with(NAMESPACE) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn resolved(reference: &BytesRef<'_>) -> Result<String, Unreadable> {
    if let Some(character) = reference.resolve_char_ref()? {
        return Ok(character.to_string());
    }
    let name = reference.as_ref();
    let known = quick_xml::escape::resolve_predefined_entity(name);
    known.map(str::to_owned).ok_or_else(|| Unreadable::new(&format!("it uses the entity {name:?}")))
}
