"""Sizes of polyps in millimetres, from frames of a colonoscopy."""
