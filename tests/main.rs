//! Everything that needs a component.
