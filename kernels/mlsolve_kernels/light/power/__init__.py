"""Light by the power law: encoded transmittances multiply, divided by the encoded exposure (docs/maths.md §1)."""
