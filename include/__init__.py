"""The stages of Showroom, one folder each, and the contracts they share."""
