"""Named doubles that are real servers, and what tests need to find tools and recordings."""
