//! What several fuzz targets have in common: small budgets, honest layers, and a way to address one analyzer.

pub mod analyzed;
pub mod budget;
pub mod layers;
