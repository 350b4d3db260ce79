//! How results are told: to a terminal, in a page, to a program, in a picture.

mod chart;
pub mod csv;
pub mod markdown;
pub mod svg;
pub mod text;
