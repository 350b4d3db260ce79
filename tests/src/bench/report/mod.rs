//! How results are told: to a terminal, in a page, to a program, in a picture.

pub mod json;
pub mod markdown;
pub mod svg;
mod table;
pub mod text;

pub use table::number;
